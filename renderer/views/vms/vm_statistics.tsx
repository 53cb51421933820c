import { Group, Progress, Stack, Table, Text } from '@mantine/core';
import type { VmInfo, VmStats } from '../../../engine/contract/engine_api.ts';
import { Section } from '../../components/page.tsx';
import { Sparkline } from '../../components/sparkline.tsx';
import { formatMips, formatRate } from '../../format.ts';
import { useStats } from '../../state/engine_store.ts';

const SLOTS = 120;
const SHOWN_REASONS = 8;

export function VmStatistics({ vm }: { vm: VmInfo }) {
  const stats = useStats(vm.name);
  const last = stats.at(-1);
  const isUp = vm.state === 'running' || vm.state === 'paused' || vm.state === 'stopping';
  if (last === undefined || !isUp) {
    return <Section title="Activity"><Text size="sm" c="dimmed">{isUp ? 'The first sample comes within a second.' : 'Speed and VM exits are shown while the VM runs.'}</Text></Section>;
  }
  const exitRate = total(last);
  return (
    <Section title="Activity" aside={<Text size="xs" c="dimmed">last 2 minutes</Text>} padded={false}>
      <div className="gauges">
        <Gauge name="Speed" value={formatMips(last.mips)} unit="MIPS" values={stats.map(({ mips }) => mips)} />
        <Gauge name="Host CPU" value={(last.cpuShare * 100).toFixed(0)} unit="% of a core" values={stats.map(({ cpuShare }) => cpuShare)} max={1} color="var(--mantine-color-teal-6)" />
        <Gauge name="VM exits" value={formatRate(exitRate)} unit="per second" values={stats.map(total)} color="var(--mantine-color-orange-6)" />
      </div>
      <Table horizontalSpacing="md" verticalSpacing={6} className="exits">
        <Table.Thead><Table.Tr><Table.Th>Exit reason</Table.Th><Table.Th ta="right">per second</Table.Th><Table.Th w="34%">share</Table.Th><Table.Th w={110}>history</Table.Th></Table.Tr></Table.Thead>
        <Table.Tbody>
          {topReasons(stats).map((reason) => {
            const rate = last.exits[reason] ?? 0;
            return (
              <Table.Tr key={reason}>
                <Table.Td><Text size="xs" className="mono">{reason}</Text></Table.Td>
                <Table.Td ta="right" className="num">{formatRate(rate)}</Table.Td>
                <Table.Td><Progress size="sm" value={exitRate === 0 ? 0 : (rate / exitRate) * 100} aria-label={`share of ${reason}`} /></Table.Td>
                <Table.Td><Sparkline values={stats.slice(-60).map(({ exits }) => exits[reason] ?? 0)} slots={60} width={96} height={18} label={`${reason} per second`} fill={false} /></Table.Td>
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
    </Section>
  );
}

function Gauge({ name, value, unit, values, max, color }: { name: string; value: string; unit: string; values: readonly number[]; max?: number; color?: string }) {
  return (
    <Stack gap={4} className="gauge">
      <Text size="xs" c="dimmed">{name}</Text>
      <Group gap={6} align="baseline" wrap="nowrap"><span className="gauge-value num">{value}</span><Text size="xs" c="dimmed" truncate>{unit}</Text></Group>
      <Sparkline values={values} slots={SLOTS} max={max} width={180} height={36} color={color} label={`${name} over time`} />
    </Stack>
  );
}

function total({ exits }: VmStats): number { return Object.values(exits).reduce((sum, rate) => sum + rate, 0); }

/** The reasons with most exits over the whole history: a stable order, so that rows do not jump every second. */
function topReasons(stats: readonly VmStats[]): string[] {
  const sums = new Map<string, number>();
  for (const { exits } of stats) for (const [reason, rate] of Object.entries(exits)) sums.set(reason, (sums.get(reason) ?? 0) + rate);
  return [...sums].sort(([a, x], [b, y]) => y - x || a.localeCompare(b)).slice(0, SHOWN_REASONS).map(([reason]) => reason);
}
