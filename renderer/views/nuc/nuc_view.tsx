import { Anchor, Badge, Button, Group, SimpleGrid, Stack, Text } from '@mantine/core';
import { Cpu, RefreshCw } from 'lucide-react';
import { useState } from 'react';
import type { NucInfo } from '../../../engine/contract/engine_api.ts';
import { Confirm } from '../../components/confirm.tsx';
import { Page, Section } from '../../components/page.tsx';
import { formatMemory, formatMips } from '../../format.ts';
import { hashOf } from '../../router.ts';
import { useEngineState, useStats, useStore } from '../../state/engine_store.ts';
import { tellProblem } from '../../state/notices.ts';
import { vmColor } from '../../theme.ts';

const WORDS: Record<NucInfo['state'], [string, string]> = { down: ['Off', 'gray'], starting: ['Starting', 'blue'], up: ['Up', 'green'], crashed: ['Crashed', 'red'] };

export function NucView() {
  const { nuc, vms } = useEngineState();
  const { engine } = useStore();
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  if (nuc === undefined) return <Page title="NUC">{null}</Page>;
  const [word, color] = WORDS[nuc.state];
  const active = vms.filter(({ state, external }) => !external && state !== 'stopped' && state !== 'crashed');
  const restart = async (): Promise<void> => {
    setBusy(true);
    try {
      await engine.call('nuc.restart', {});
    } catch (error) {
      tellProblem(error);
    } finally {
      setBusy(false);
      setAsking(false);
    }
  };
  return (
    <Page
      title="NUC" badge={<Badge variant="light" radius="sm" tt="none" color={color}>{word}</Badge>}
      subtitle="The emulated board: four physical CPUs and its memory, given to VMs one whole pCPU at a time"
      actions={<Button variant="default" leftSection={<RefreshCw size={15} />} disabled={nuc.state === 'starting'} loading={busy} onClick={() => { if (active.length > 0) setAsking(true); else void restart(); }}>{nuc.state === 'down' ? 'Start' : 'Restart'}</Button>}
    >
      <Stack gap="md">
        <Section title="Physical CPUs" aside={<Text size="xs" c="dimmed">{nuc.pcpus.filter(({ vm }) => vm !== undefined).length} of {nuc.pcpus.length} in use</Text>}>
          <SimpleGrid cols={{ base: 2, md: 4 }} spacing="md">
            {nuc.pcpus.map((pcpu) => <Pcpu key={pcpu.id} pcpu={pcpu} />)}
          </SimpleGrid>
        </Section>
        <Section title="Memory" aside={<Text size="xs" c="dimmed" className="num">{formatMemory(nuc.memoryUsedMiB)} of {formatMemory(nuc.memoryMiB)} in use</Text>}>
          <MemoryBar nuc={nuc} />
        </Section>
        {nuc.state === 'down' && <Text size="sm" c="dimmed">The NUC starts by itself with the first VM.</Text>}
      </Stack>
      <Confirm
        opened={asking} title="Restart the NUC?" action="Restart" busy={busy} onClose={() => setAsking(false)} onConfirm={() => { void restart(); }}
        text={`This ends ${active.map(({ name }) => name).join(', ')} as a power failure would.`}
      />
    </Page>
  );
}

function Pcpu({ pcpu }: { pcpu: NucInfo['pcpus'][number] }) {
  const { id, vm, vcpuId } = pcpu;
  return (
    <div className="pcpu" data-used={vm !== undefined} data-color={vm === undefined ? undefined : vmColor(vm)}>
      <Group justify="space-between" wrap="nowrap">
        <Group gap={8} wrap="nowrap"><Cpu size={18} aria-hidden /><Text size="sm" fw={600}>pCPU {id}</Text></Group>
        {vcpuId !== undefined && <Text size="xs" c="dimmed">vCPU {vcpuId}</Text>}
      </Group>
      {vm === undefined ? <Text size="sm" c="dimmed" mt="sm">Idle</Text> : <PcpuVm name={vm} />}
    </div>
  );
}

function PcpuVm({ name }: { name: string }) {
  const last = useStats(name).at(-1);
  return (
    <Group justify="space-between" mt="sm" wrap="nowrap" gap="xs">
      <Anchor size="sm" fw={600} truncate href={hashOf({ view: 'vm', name })}>{name}</Anchor>
      {last !== undefined && <Text size="xs" c="dimmed" className="num nowrap">{formatMips(last.mips)} MIPS</Text>}
    </Group>
  );
}

function MemoryBar({ nuc }: { nuc: NucInfo }) {
  const { vms } = useEngineState();
  const names = [...new Set(nuc.pcpus.flatMap(({ vm }) => (vm === undefined ? [] : [vm])))];
  const parts = names.map((name) => ({ name, mib: vms.find((vm) => vm.name === name)?.definition?.memoryMiB ?? 0 }));
  const known = parts.reduce((sum, { mib }) => sum + mib, 0);
  const other = Math.max(0, nuc.memoryUsedMiB - known);
  const share = (mib: number): string => `${(mib / nuc.memoryMiB) * 100}%`;
  return (
    <Stack gap="sm">
      <div className="memory-bar" role="img" aria-label={`${nuc.memoryUsedMiB} of ${nuc.memoryMiB} MiB in use`}>
        {parts.map(({ name, mib }) => <span key={name} data-color={vmColor(name)} style={{ width: share(mib) }} title={`${name}: ${formatMemory(mib)}`} />)}
        {other > 0 && <span data-color="gray" style={{ width: share(other) }} title={`other: ${formatMemory(other)}`} />}
      </div>
      <Group gap="lg">
        {parts.map(({ name, mib }) => <Legend key={name} color={vmColor(name)} label={name} value={formatMemory(mib)} />)}
        {other > 0 && <Legend color="gray" label="other" value={formatMemory(other)} />}
        <Legend color="free" label="Free" value={formatMemory(Math.max(0, nuc.memoryMiB - nuc.memoryUsedMiB))} />
      </Group>
    </Stack>
  );
}

function Legend({ color, label, value }: { color: string; label: string; value: string }) {
  return <Group gap={8} wrap="nowrap"><span className="legend-dot" data-color={color} /><Text size="sm">{label}</Text><Text size="sm" c="dimmed" className="num">{value}</Text></Group>;
}
