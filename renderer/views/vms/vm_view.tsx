import { ActionIcon, Anchor, Button, Grid, Group, Stack, Table, Text } from '@mantine/core';
import { ArrowLeft, Pencil, Terminal } from 'lucide-react';
import type { ReactNode } from 'react';
import type { VmInfo } from '../../../engine/contract/engine_api.ts';
import type { VmDefinition } from '../../../engine/contract/vm_definition.ts';
import { commandLine } from '../../command_line.ts';
import { CommandBox } from '../../components/command_box.tsx';
import { CopyChip } from '../../components/copy.tsx';
import { Empty, Page, Section } from '../../components/page.tsx';
import { PcpuChips } from '../../components/pcpu_chips.tsx';
import { ProblemAlert } from '../../components/problem_alert.tsx';
import { StateBadge } from '../../components/state_badge.tsx';
import { allowedActions, VmActions } from '../../components/vm_actions.tsx';
import { formatMemory, formatUptime } from '../../format.ts';
import { go, hashOf } from '../../router.ts';
import { useEngineState, useVm } from '../../state/engine_store.ts';
import { useNow } from '../../state/use_now.ts';
import { VmStatistics } from './vm_statistics.tsx';

export function VmView({ name }: { name: string }) {
  const vm = useVm(name);
  const { loaded } = useEngineState();
  const back = <ActionIcon size="lg" aria-label="All virtual machines" onClick={() => go({ view: 'vms' })}><ArrowLeft size={18} /></ActionIcon>;
  if (vm === undefined) {
    return <Page title={name} before={back}>{loaded && <div className="card"><Empty icon={<Terminal size={26} />} title={`There is no VM ${name}`} text="It may have been deleted or renamed." action={<Button onClick={() => go({ view: 'vms' })}>All virtual machines</Button>} /></div>}</Page>;
  }
  const { definition, problem } = vm;
  return (
    <Page title={name} before={back} badge={<StateBadge vm={vm} />} actions={<VmActions vm={vm} large />}>
      <Stack gap="md">
        {problem !== undefined && <ProblemAlert problem={problem} />}
        <Grid gap="md">
          <Grid.Col span={{ base: 12, md: 7 }}>
            <Stack gap="md">
              <VmStatistics vm={vm} />
              <Consoles vm={vm} />
            </Stack>
          </Grid.Col>
          <Grid.Col span={{ base: 12, md: 5 }}>
            <Stack gap="md">
              {definition !== undefined && <Configuration vm={vm} definition={definition} />}
              {definition !== undefined && <Section title="Same on a command line"><CommandBox command={commandLine(definition)} /></Section>}
            </Stack>
          </Grid.Col>
        </Grid>
      </Stack>
    </Page>
  );
}

function Configuration({ vm, definition }: { vm: VmInfo; definition: VmDefinition }) {
  const now = useNow();
  const { edit } = allowedActions(vm);
  return (
    <Section title="Configuration" aside={<Button size="compact-sm" variant="default" leftSection={<Pencil size={13} />} disabled={!edit} onClick={() => go({ view: 'edit', name: vm.name })}>Edit</Button>}>
      <dl className="facts">
        <Fact term="pCPUs"><PcpuChips ids={definition.cpuAffinity} /></Fact>
        <Fact term="Memory">{formatMemory(definition.memoryMiB)}</Fact>
        {vm.vmid !== undefined && vm.state !== 'stopped' && <Fact term="VM id">{vm.vmid}</Fact>}
        {vm.startedAt !== undefined && vm.state !== 'stopped' && <Fact term="Uptime">{formatUptime(now - vm.startedAt)}</Fact>}
        <Fact term="Kernel"><Path>{definition.kernel}</Path></Fact>
        {definition.ramdisk !== undefined && <Fact term="Ramdisk"><Path>{definition.ramdisk}</Path></Fact>}
        <Fact term="Boot arguments"><Path>{definition.bootargs === '' ? '–' : definition.bootargs}</Path></Fact>
        <Fact term="Devices">
          <Stack gap={2}>
            {definition.devices.map(({ slot, device, config }) => <Text key={slot} size="sm" className="mono wrap-anywhere"><Text span c="dimmed">{slot}</Text> {device}{config === undefined || config === '' ? '' : <Text span c="dimmed"> {config}</Text>}</Text>)}
          </Stack>
        </Fact>
      </dl>
    </Section>
  );
}

function Consoles({ vm }: { vm: VmInfo }) {
  return (
    <Section title="Consoles" padded={vm.consoles.length === 0}>
      {vm.consoles.length === 0 ? <Text size="sm" c="dimmed">{vm.state === 'stopped' || vm.state === 'crashed' ? 'Consoles appear when the VM runs.' : 'This VM has no console. Add com1 or a virtio-console to its devices.'}</Text> : (
        <Table verticalSpacing={8} horizontalSpacing="md">
          <Table.Tbody>
            {vm.consoles.map((console) => (
              <Table.Tr key={console.id}>
                <Table.Td><Anchor size="sm" fw={500} href={hashOf({ view: 'consoles', name: vm.name, consoleId: console.id })}>{console.title}</Anchor></Table.Td>
                <Table.Td><Text size="sm" c="dimmed">{console.where === '' ? 'this window' : console.kind}</Text></Table.Td>
                <Table.Td><Group gap={6} justify="flex-end">{console.where === '' ? null : <CopyChip value={console.where} />}{console.kind === 'pty' && <CopyChip value={`screen ${console.where}`} label="screen" />}</Group></Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Section>
  );
}

function Fact({ term, children }: { term: string; children: ReactNode }) { return <><dt>{term}</dt><dd>{children}</dd></>; }
function Path({ children }: { children: ReactNode }) { return <span className="mono wrap-anywhere">{children}</span>; }
