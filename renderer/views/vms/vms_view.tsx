import { Button, Skeleton, Stack, Table, Text, Tooltip, UnstyledButton } from '@mantine/core';
import { Plus, Server, TriangleAlert } from 'lucide-react';
import type { VmInfo } from '../../../engine/contract/engine_api.ts';
import { Empty, Page } from '../../components/page.tsx';
import { PcpuChips } from '../../components/pcpu_chips.tsx';
import { Sparkline } from '../../components/sparkline.tsx';
import { StateBadge } from '../../components/state_badge.tsx';
import { VmActions } from '../../components/vm_actions.tsx';
import { formatMemory, formatMips, formatUptime } from '../../format.ts';
import { go } from '../../router.ts';
import { useEngineState, useStats } from '../../state/engine_store.ts';
import { useNow } from '../../state/use_now.ts';

export function VmsView() {
  const { loaded, vms } = useEngineState();
  const running = vms.filter(({ state }) => state !== 'stopped' && state !== 'crashed').length;
  const subtitle = vms.length === 0 ? undefined : `${vms.length} defined, ${running} active`;
  return (
    <Page title="Virtual machines" subtitle={subtitle} actions={<NewVm />}>
      <div className="card">
        {!loaded ? <Stack p="lg" gap="sm">{[0, 1, 2].map((row) => <Skeleton key={row} height={36} />)}</Stack>
          : vms.length === 0 ? (
            <Empty
              icon={<Server size={26} />} title="No virtual machines yet" action={<NewVm />}
              text="A virtual machine gets its own pCPUs and memory of the NUC, boots a Linux kernel, and its consoles appear here and as terminals of this computer."
            />
          ) : <VmTable vms={vms} />}
      </div>
    </Page>
  );
}

function NewVm() {
  return <Button leftSection={<Plus size={16} />} onClick={() => go({ view: 'new' })}>New VM</Button>;
}

function VmTable({ vms }: { vms: readonly VmInfo[] }) {
  const now = useNow();
  return (
    <Table.ScrollContainer minWidth={700} type="native">
      <Table verticalSpacing={10} horizontalSpacing="md" highlightOnHover className="vm-table">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th><Table.Th>State</Table.Th><Table.Th>pCPUs</Table.Th><Table.Th>Memory</Table.Th><Table.Th>Uptime</Table.Th><Table.Th>MIPS</Table.Th>
            <Table.Th aria-label="Actions" />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{vms.map((vm) => <VmRow key={vm.name} vm={vm} now={now} />)}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function VmRow({ vm, now }: { vm: VmInfo; now: number }) {
  const { name, definition, startedAt, state, problem, external } = vm;
  const isUp = state === 'running' || state === 'paused' || state === 'stopping';
  return (
    <Table.Tr className="vm-row" data-vm={name} onClick={() => go({ view: 'vm', name })}>
      <Table.Td>
        <UnstyledButton className="vm-name" onClick={() => go({ view: 'vm', name })}>{name}</UnstyledButton>
        {external && <Text size="xs" c="dimmed">in another process</Text>}
        {problem !== undefined && (
          <Tooltip label={`${problem.why}. ${problem.todo}`} multiline maw={380}>
            <Text size="xs" c="red" className="vm-problem"><TriangleAlert size={12} /> {problem.what}</Text>
          </Tooltip>
        )}
      </Table.Td>
      <Table.Td><StateBadge vm={vm} /></Table.Td>
      <Table.Td>{definition === undefined ? <Dash /> : <PcpuChips ids={definition.cpuAffinity} />}</Table.Td>
      <Table.Td>{definition === undefined ? <Dash /> : formatMemory(definition.memoryMiB)}</Table.Td>
      <Table.Td className="num">{isUp && startedAt !== undefined ? formatUptime(now - startedAt) : <Dash />}</Table.Td>
      <Table.Td>{isUp ? <Mips name={name} /> : <Dash />}</Table.Td>
      <Table.Td><VmActions vm={vm} /></Table.Td>
    </Table.Tr>
  );
}

function Mips({ name }: { name: string }) {
  const stats = useStats(name);
  const last = stats.at(-1);
  if (last === undefined) return <Dash />;
  return (
    <span className="mips">
      <span className="num">{formatMips(last.mips)}</span>
      <Sparkline values={stats.slice(-40).map(({ mips }) => mips)} slots={40} width={64} height={20} label={`MIPS of ${name}`} />
    </span>
  );
}

function Dash() { return <Text span c="dimmed" aria-label="none">–</Text>; }
