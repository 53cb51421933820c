/** The window: navigation at the left, the view, banners above it, notices in the corner. */
import { ActionIcon, Alert, AppShell, Button, Group, Indicator, Loader, NavLink, ScrollArea, Stack, Text, Tooltip, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { Cpu, Moon, Server, Sun, Terminal, TriangleAlert } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { ReactNode } from 'react';
import { ProblemAlert } from './components/problem_alert.tsx';
import { hashOf, useRoute } from './router.ts';
import type { Route } from './router.ts';
import { useEngineState, useStore } from './state/engine_store.ts';
import { closeNotice, tellProblem, useNotices } from './state/notices.ts';
import { ConsolesView } from './views/consoles/consoles_view.tsx';
import { keepSessions } from './views/consoles/sessions.ts';
import { CreateView } from './views/create/create_view.tsx';
import { NucView } from './views/nuc/nuc_view.tsx';
import { VmsView } from './views/vms/vms_view.tsx';
import { VmView } from './views/vms/vm_view.tsx';

export function App() {
  const route = useRoute();
  const { vms, loaded } = useEngineState();
  useEffect(() => { if (loaded) keepSessions(vms.map(({ name }) => name)); }, [vms, loaded]);
  return (
    <AppShell navbar={{ width: 216, breakpoint: 0 }} padding={0}>
      <AppShell.Navbar className="nav"><Navigation route={route} /></AppShell.Navbar>
      <AppShell.Main className="main">
        <Banners />
        <div className="view" data-view={route.view}><View route={route} /></div>
      </AppShell.Main>
      <Notices />
    </AppShell>
  );
}

function View({ route }: { route: Route }) {
  switch (route.view) {
    case 'vms': return <VmsView />;
    case 'vm': return <VmView key={route.name} name={route.name} />;
    case 'new': return <CreateView key="new" />;
    case 'edit': return <CreateView key={route.name} editing={route.name} />;
    case 'consoles': return <ConsolesView name={route.name} consoleId={route.consoleId} />;
    case 'nuc': return <NucView />;
  }
}

function Navigation({ route }: { route: Route }) {
  const { vms, nuc, app } = useEngineState();
  const link = (to: Route, label: string, icon: ReactNode, active: boolean, aside?: ReactNode): ReactNode => (
    <NavLink href={hashOf(to)} label={label} leftSection={icon} rightSection={aside} active={active} aria-current={active ? 'page' : undefined} className="nav-link" />
  );
  return (
    <>
      <Group gap={10} className="brand" wrap="nowrap">
        <img src="/icon.svg" width={28} height={28} alt="" />
        <div><Text fw={650} lh={1.15}>ACRN Desktop</Text><Text size="xs" c="dimmed" lh={1.3}>{app === undefined ? ' ' : `Version ${app.version}`}</Text></div>
      </Group>
      <nav aria-label="Views">
        {link({ view: 'vms' }, 'Virtual machines', <Server size={17} />, route.view === 'vms' || route.view === 'new')}
        {link({ view: 'consoles' }, 'Consoles', <Terminal size={17} />, route.view === 'consoles')}
        {link({ view: 'nuc' }, 'NUC', <Cpu size={17} />, route.view === 'nuc')}
      </nav>
      {vms.length > 0 && <Text size="xs" c="dimmed" fw={600} className="nav-heading">Machines</Text>}
      <ScrollArea className="grow" type="auto" scrollbarSize={6}>
        <nav aria-label="Virtual machines">
          {vms.map((vm) => (
            <NavLink
              key={vm.name} href={hashOf({ view: 'vm', name: vm.name })} label={vm.name} active={(route.view === 'vm' || route.view === 'edit') && route.name === vm.name} className="nav-link nav-vm"
              leftSection={<span className="state-dot" data-state={vm.state} role="img" aria-label={vm.state} />}
            />
          ))}
        </nav>
      </ScrollArea>
      <Group justify="space-between" className="nav-foot" wrap="nowrap">
        <NucLight state={nuc?.state ?? 'down'} />
        <ColorScheme />
      </Group>
    </>
  );
}

function NucLight({ state }: { state: 'down' | 'starting' | 'up' | 'crashed' }) {
  const words = { down: ['NUC off', 'gray'], starting: ['NUC starting', 'blue'], up: ['NUC up', 'green'], crashed: ['NUC crashed', 'red'] } as const;
  const [word, color] = words[state];
  return <Group gap={12} ml={4} wrap="nowrap"><Indicator color={color} size={8} position="middle-center" processing={state === 'starting'}><span /></Indicator><Text size="xs" c="dimmed">{word}</Text></Group>;
}

function ColorScheme() {
  const { setColorScheme } = useMantineColorScheme();
  const next = useComputedColorScheme('light') === 'dark' ? 'light' : 'dark';
  return <Tooltip label={`Use ${next} colours`}><ActionIcon aria-label={`Use ${next} colours`} onClick={() => setColorScheme(next)}>{next === 'light' ? <Sun size={16} /> : <Moon size={16} />}</ActionIcon></Tooltip>;
}

function Banners() {
  const { nuc, connection } = useEngineState();
  const { engine } = useStore();
  const [busy, setBusy] = useState(false);
  const restart = (): void => {
    setBusy(true);
    engine.call('nuc.restart', {}).catch(tellProblem).finally(() => setBusy(false));
  };
  const [how = '', ...lines] = (nuc?.detail ?? '').split('\n');
  return (
    <>
      {connection === 'lost' && <Alert color="yellow" radius={0} className="banner" role="status" icon={<Loader size={16} color="yellow" />} title="Not connected">ACRN Desktop does not answer. This page reconnects by itself.</Alert>}
      {nuc?.state === 'crashed' && (
        <Alert color="red" radius={0} role="alert" icon={<TriangleAlert size={18} />} title="The NUC crashed" className="banner" data-danger data-banner="nuc-crashed">
          <Group justify="space-between" align="flex-start" wrap="nowrap">
            <div className="grow">
              <Text size="sm">{how === '' ? 'Its process ended.' : `${how.charAt(0).toUpperCase()}${how.slice(1)}.`} The VMs that ran on it ended too; their disks hold what they had written.</Text>
              {lines.length > 0 && <details className="log"><summary>Last lines of its log</summary><pre tabIndex={0}>{lines.join('\n')}</pre></details>}
            </div>
            <Button color="red" size="compact-md" loading={busy} onClick={restart}>Restart the NUC</Button>
          </Group>
        </Alert>
      )}
    </>
  );
}

function Notices() {
  const notices = useNotices();
  if (notices.length === 0) return null;
  return <Stack className="notices" gap="xs">{notices.map(({ id, problem }) => <ProblemAlert key={id} problem={problem} onClose={() => closeNotice(id)} />)}</Stack>;
}
