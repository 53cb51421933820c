/**
 * What can be done to a VM now. An action that its state does not allow is there and disabled, so that nothing jumps.
 *
 * @spec   engine/contract/engine_api.ts, vm.* commands
 * @cover  #Y start, shut down, force off, pause, resume, reset, edit, delete with confirmation
 * @differ none
 */
import { ActionIcon, Button, Group, Menu, Tooltip } from '@mantine/core';
import { Ellipsis, Pause, Pencil, Play, Power, RotateCcw, Square, Terminal, Trash2, Zap } from 'lucide-react';
import { useState } from 'react';
import type { ReactNode } from 'react';
import type { VmInfo, VmState } from '../../engine/contract/engine_api.ts';
import { go } from '../router.ts';
import { useStore } from '../state/engine_store.ts';
import { tellProblem } from '../state/notices.ts';
import { Confirm } from './confirm.tsx';

export interface AllowedActions { start: boolean; stop: boolean; forceOff: boolean; pause: boolean; resume: boolean; reset: boolean; edit: boolean; remove: boolean }

export function allowedActions({ state, external, definition }: VmInfo): AllowedActions {
  const is = (...states: VmState[]): boolean => states.includes(state);
  return {
    start: !external && is('stopped', 'crashed') && definition !== undefined,
    stop: is('running', 'paused'),
    forceOff: is('starting', 'running', 'paused', 'stopping'),
    pause: is('running'),
    resume: is('paused'),
    reset: is('running', 'paused'),
    edit: is('stopped', 'crashed') && definition !== undefined,
    remove: is('stopped', 'crashed'),
  };
}

type Command = 'vm.start' | 'vm.reset' | 'vm.pause' | 'vm.resume';
type Asking = 'delete' | 'reset' | 'force' | undefined;

export function VmActions({ vm, large = false }: { vm: VmInfo; large?: boolean }) {
  const { engine } = useStore();
  const [asking, setAsking] = useState<Asking>();
  const [busy, setBusy] = useState(false);
  const can = allowedActions(vm);
  const { name } = vm;
  const isDeaf = vm.state === 'stopping' || vm.problem?.code === 'GUEST_DEAF'; // asking again would not help

  const run = async (work: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    try {
      await work();
    } catch (error) {
      tellProblem(error);
    } finally {
      setBusy(false);
      setAsking(undefined);
    }
  };
  const command = (which: Command): void => { void run(() => engine.call(which, { name })); };
  const stop = (force: boolean): void => { void run(() => engine.call('vm.stop', { name, force })); };
  const remove = (): void => { void run(async () => { await engine.call('vm.delete', { name }); go({ view: 'vms' }); }); };

  return (
    <Group gap={large ? 'xs' : 4} wrap="nowrap" justify="flex-end" onClick={(event) => event.stopPropagation()} onKeyDown={(event) => event.stopPropagation()}>
      {large ? (
        <>
          {can.resume
            ? <Button leftSection={<Play size={16} />} onClick={() => command('vm.resume')}>Resume</Button>
            : <Button leftSection={<Play size={16} />} disabled={!can.start || busy} onClick={() => command('vm.start')}>Start</Button>}
          {isDeaf
            ? <Button color="red" variant="light" leftSection={<Zap size={15} />} onClick={() => setAsking('force')}>Force off</Button>
            : <Button variant="default" leftSection={<Square size={15} />} disabled={!can.stop} onClick={() => stop(false)}>Stop</Button>}
          <Button variant="default" leftSection={<Pause size={15} />} disabled={!can.pause} onClick={() => command('vm.pause')}>Pause</Button>
          <Button variant="default" leftSection={<RotateCcw size={15} />} disabled={!can.reset} onClick={() => setAsking('reset')}>Reset</Button>
        </>
      ) : (
        <>
          {can.resume
            ? <Action label={`Resume ${name}`} color="green" enabled onClick={() => command('vm.resume')}><Play size={16} /></Action>
            : <Action label={`Start ${name}`} color="green" enabled={can.start && !busy} onClick={() => command('vm.start')}><Play size={16} /></Action>}
          {isDeaf
            ? <Action label={`Force ${name} off`} color="red" enabled onClick={() => setAsking('force')}><Zap size={16} /></Action>
            : <Action label={`Stop ${name}`} enabled={can.stop} onClick={() => stop(false)}><Square size={15} /></Action>}
          <Action label={`Pause ${name}`} enabled={can.pause} onClick={() => command('vm.pause')}><Pause size={16} /></Action>
          <Action label={`Reset ${name}`} enabled={can.reset} onClick={() => setAsking('reset')}><RotateCcw size={15} /></Action>
          <Action className="to-consoles" label={`Consoles of ${name}`} enabled onClick={() => go({ view: 'consoles', name })}><Terminal size={16} /></Action>
        </>
      )}
      <Menu position="bottom-end" width={190} shadow="md">
        <Menu.Target><ActionIcon size={large ? 36 : 'md'} variant={large ? 'default' : 'subtle'} aria-label={`More actions for ${name}`}><Ellipsis size={16} /></ActionIcon></Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<Terminal size={15} />} onClick={() => go({ view: 'consoles', name })}>Consoles</Menu.Item>
          <Menu.Item leftSection={<Pencil size={15} />} disabled={!can.edit} onClick={() => go({ view: 'edit', name })}>Edit</Menu.Item>
          <Menu.Divider />
          <Menu.Item leftSection={<Power size={15} />} disabled={!can.stop} onClick={() => stop(false)}>Shut down</Menu.Item>
          <Menu.Item leftSection={<Zap size={15} />} disabled={!can.forceOff} onClick={() => setAsking('force')}>Force off</Menu.Item>
          <Menu.Divider />
          <Menu.Item color="red" leftSection={<Trash2 size={15} />} disabled={!can.remove} onClick={() => setAsking('delete')}>Delete</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Confirm
        opened={asking === 'delete'} title={`Delete ${name}?`} action={`Delete ${name}`} busy={busy} onClose={() => setAsking(undefined)} onConfirm={remove}
        text="The definition of this VM is deleted. Its kernel, ramdisk and disk images stay where they are."
      />
      <Confirm
        opened={asking === 'reset'} title={`Reset ${name}?`} action="Reset" busy={busy} onClose={() => setAsking(undefined)} onConfirm={() => command('vm.reset')}
        text="The guest is not told: whatever it has not written to its disk is lost, as with the reset button of a computer."
      />
      <Confirm
        opened={asking === 'force'} title={`Force ${name} off?`} action="Force off" busy={busy} onClose={() => setAsking(undefined)} onConfirm={() => stop(true)}
        text="The guest is not told: whatever it has not written to its disk is lost, as when the power fails."
      />
    </Group>
  );
}

function Action({ label, enabled, color = 'gray', className, onClick, children }: { label: string; className?: string; enabled: boolean; color?: string; onClick: () => void; children: ReactNode }) {
  return <Tooltip label={label}><ActionIcon className={className} disabled={!enabled} color={color} onClick={onClick} aria-label={label}>{children}</ActionIcon></Tooltip>;
}
