/**
 * One tab per console of every VM.
 *
 * @cover  #Y running, stopped with Start, crashed with its reason, starting, VMs of other processes, no console at all
 * @differ none
 */
import { Box, Button, Group, Loader, ScrollArea, Stack, Text } from '@mantine/core';
import { Play, Terminal } from 'lucide-react';
import { useEffect, useRef } from 'react';
import type { KeyboardEvent } from 'react';
import type { ConsoleInfo, VmInfo } from '../../../engine/contract/engine_api.ts';
import { CopyChip } from '../../components/copy.tsx';
import { Empty } from '../../components/page.tsx';
import { ProblemAlert } from '../../components/problem_alert.tsx';
import { go } from '../../router.ts';
import { useEngineState, useStore } from '../../state/engine_store.ts';
import { tellProblem } from '../../state/notices.ts';
import { openSessions } from './sessions.ts';
import { TerminalPane } from './terminal_pane.tsx';

/** Where a PC's kernel can speak from its first moment on. */
const EARLY_CONSOLE = 'com1';

interface Tab { vm: VmInfo; console: ConsoleInfo | undefined }

/** A VM that does not run keeps one tab: its last console, with what to do about it. */
function tabsOf(vms: readonly VmInfo[]): Tab[] {
  return vms.flatMap((vm): Tab[] => (vm.consoles.length > 0 ? vm.consoles.map((console) => ({ vm, console })) : [{ vm, console: undefined }]));
}

const isLive = ({ state }: VmInfo): boolean => state === 'running' || state === 'paused' || state === 'stopping' || state === 'starting';

export function ConsolesView({ name, consoleId }: { name?: string; consoleId?: string }) {
  const { vms, loaded } = useEngineState();
  const tabs = tabsOf(vms);
  const ofVm = tabs.filter(({ vm }) => vm.name === name);
  const current = ofVm.find(({ console }) => console?.id === consoleId) ?? ofVm[0] ?? tabs.find(({ vm }) => isLive(vm)) ?? tabs[0];
  useEffect(() => { document.title = `${current === undefined ? 'Consoles' : `${current.vm.name} console`} · ACRN Desktop`; }, [current]);
  if (current === undefined) {
    return <Box className="page">{loaded && <div className="card"><Empty icon={<Terminal size={26} />} title="No consoles yet" text="Each VM brings its consoles along: com1, and the ports of its virtio-console." action={<Button onClick={() => go({ view: 'new' })}>New VM</Button>} /></div>}</Box>;
  }
  return (
    <div className="consoles">
      <TabBar tabs={tabs} current={current} />
      <ConsoleBar tab={current} />
      <ConsoleBody tab={current} />
    </div>
  );
}

const keyOf = ({ vm, console }: Tab): string => `${vm.name}/${console?.id ?? ''}`;

function TabBar({ tabs, current }: { tabs: readonly Tab[]; current: Tab }) {
  const list = useRef<HTMLDivElement>(null);
  const choose = (tab: Tab | undefined): void => { if (tab !== undefined) go({ view: 'consoles', name: tab.vm.name, consoleId: tab.console?.id }); };
  const onKeyDown = (event: KeyboardEvent, at: number): void => {
    const to = event.key === 'ArrowRight' ? at + 1 : event.key === 'ArrowLeft' ? at - 1 : event.key === 'Home' ? 0 : event.key === 'End' ? tabs.length - 1 : undefined;
    if (to === undefined) return;
    event.preventDefault();
    list.current?.querySelectorAll<HTMLElement>('[role="tab"]')[(to + tabs.length) % tabs.length]?.focus();
  };
  return (
    <ScrollArea type="never" className="console-tabs-scroll">
      <div className="console-tabs" role="tablist" aria-label="Consoles" ref={list}>
        {tabs.map((tab, at) => {
          const selected = keyOf(tab) === keyOf(current);
          return (
            <button
              key={keyOf(tab)} type="button" role="tab" id={`tab-${at}`} aria-selected={selected} aria-controls="console-panel" tabIndex={selected ? 0 : -1} className="console-tab" data-console-tab
              onClick={() => choose(tab)} onKeyDown={(event) => onKeyDown(event, at)}
            >
              <span className="state-dot" data-state={tab.vm.state} aria-hidden />
              <span className="console-tab-vm">{tab.vm.name}</span>
              {tab.console !== undefined && <span className="console-tab-title">{tab.console.title}</span>}
              <span className="visually-hidden">, {tab.vm.state}</span>
            </button>
          );
        })}
      </div>
    </ScrollArea>
  );
}

function ConsoleBar({ tab: { console } }: { tab: Tab }) {
  if (console === undefined || console.where === '') return null;
  return (
    <Group className="console-bar" gap={8} wrap="wrap">
      <Text size="xs" c="dimmed">{console.kind === 'pty' ? 'Also at the PTY' : `Also at the ${console.kind}`}</Text>
      <CopyChip value={console.where} />
      {console.kind === 'pty' && (
        <>
          <Text size="xs" c="dimmed">open it with</Text>
          <CopyChip value={`screen ${console.where}`} />
          <CopyChip value={`minicom -D ${console.where}`} />
        </>
      )}
    </Group>
  );
}

function ConsoleBody({ tab: { vm, console } }: { tab: Tab }) {
  const { connection } = useEngineState();
  const last = console?.id ?? openSessions(vm.name)[0]?.consoleId;
  const canShow = last !== undefined && !vm.external;
  const startedAt = console !== undefined && isLive(vm) && connection !== 'lost' ? vm.startedAt ?? 0 : undefined;
  const early = last === EARLY_CONSOLE ? undefined : vm.consoles.find(({ id }) => id === EARLY_CONSOLE);
  return (
    <div className="console-body" role="tabpanel" id="console-panel" aria-label={`${vm.name} ${console?.title ?? 'console'}`}>
      {(canShow || vm.state !== 'stopped' || vm.problem !== undefined) && <ConsoleState vm={vm} hasConsole={console !== undefined} />}
      {canShow ? <TerminalPane key={`${vm.name}/${last}`} name={vm.name} consoleId={last} startedAt={startedAt} label={`Console ${console?.title ?? ''} of ${vm.name}. Ctrl+F6 leaves it.`} early={early} /> : <NothingToShow vm={vm} />}
    </div>
  );
}

function NothingToShow({ vm }: { vm: VmInfo }) {
  const { engine } = useStore();
  const { name, state, definition, problem } = vm;
  if (state !== 'stopped' || problem !== undefined) return <div className="terminal-empty" />;
  return (
    <div className="terminal-empty">
      <strong>{name} is stopped</strong>
      <span>Its consoles appear here when it runs.</span>
      <Button leftSection={<Play size={15} />} disabled={definition === undefined} onClick={() => { engine.call('vm.start', { name }).catch(tellProblem); }}>Start {name}</Button>
    </div>
  );
}

/** What stands above the terminal when it is not simply running. */
function ConsoleState({ vm, hasConsole }: { vm: VmInfo; hasConsole: boolean }) {
  const { engine } = useStore();
  const { name, state, problem, detail, external, definition } = vm;
  const start = (): void => { engine.call('vm.start', { name }).catch(tellProblem); };
  const resume = (): void => { engine.call('vm.resume', { name }).catch(tellProblem); };
  const startButton = <Button size="compact-sm" leftSection={<Play size={14} />} disabled={definition === undefined} onClick={start}>Start {name}</Button>;
  if (external) return <Banner text={`${name} runs in another process. Its consoles are open there${hasConsole ? ', and at the path above' : ''}.`} />;
  switch (state) {
    case 'stopped': return problem !== undefined ? <Box p="sm"><ProblemAlert problem={problem} /></Box> : <Banner text={`${name} is stopped${detail === '' ? '' : `: ${detail}`}.`} action={startButton} />;
    case 'crashed': return problem !== undefined ? <Box p="sm"><ProblemAlert problem={problem}><Box mt="sm">{startButton}</Box></ProblemAlert></Box> : <Banner text={`${name} crashed: ${detail}.`} action={startButton} />;
    case 'starting': return <Banner busy text={`${name} is starting${detail === '' ? '' : `: ${detail}`}`} />;
    case 'paused': return <Banner text={`${name} is paused.`} action={<Button size="compact-sm" leftSection={<Play size={14} />} onClick={resume}>Resume</Button>} />;
    case 'stopping': return <Banner busy text={`${name} is stopping${detail === '' ? '' : `: ${detail}`}`} />;
    case 'running': return problem !== undefined ? <Box p="sm"><ProblemAlert problem={problem} /></Box> : hasConsole ? null : <Banner text={`${name} has no console. Add com1 or a virtio-console to its devices.`} />;
  }
}

function Banner({ text, action, busy = false }: { text: string; action?: React.ReactNode; busy?: boolean }) {
  return (
    <Stack gap={0} className="console-banner" role="status">
      <Group gap="sm">{busy && <Loader size={14} />}<Text size="sm">{text}</Text>{action}</Group>
    </Stack>
  );
}
