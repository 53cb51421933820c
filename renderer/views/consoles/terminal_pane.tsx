import { ActionIcon, Group, TextInput, Tooltip } from '@mantine/core';
import { ChevronDown, ChevronUp, Eraser, Search, X } from 'lucide-react';
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import type { ConsoleInfo } from '../../../engine/contract/engine_api.ts';
import { formatMips } from '../../format.ts';
import { go } from '../../router.ts';
import { useStats, useStore } from '../../state/engine_store.ts';
import { sessionOf } from './sessions.ts';

const MATCHES = { decorations: { matchBackground: '#5c4a12', matchOverviewRuler: '#fcc419', activeMatchBackground: '#b08900', activeMatchColorOverviewRuler: '#fcc419' } };

/** Shows a session's terminal. React places it; the terminal draws itself. */
export function TerminalPane({ name, consoleId, startedAt, label, early }: { name: string; consoleId: string; startedAt: number | undefined; label: string; early: ConsoleInfo | undefined }) {
  const { engine } = useStore();
  const session = sessionOf(engine, name, consoleId);
  const place = useRef<HTMLDivElement>(null);
  const [searching, setSearching] = useState(false);

  useEffect(() => {
    const parent = place.current;
    if (parent === null) return;
    session.mount(parent);
    const stopListening = session.onSearchKey(() => setSearching(true));
    session.focus();
    const observer = new ResizeObserver(() => session.fit());
    observer.observe(parent);
    return () => {
      observer.disconnect();
      stopListening();
      session.unmount();
    };
  }, [session]);
  useEffect(() => session.follow(startedAt), [session, startedAt]);

  const isQuiet = useSyncExternalStore(session.onQuiet, session.isQuiet);
  const close = (): void => {
    session.search.clearDecorations();
    setSearching(false);
    session.focus();
  };
  return (
    <div className="terminal-pane">
      <div className="terminal-tools">
        {searching ? <SearchBar onFind={(text, back) => (back ? session.search.findPrevious(text, MATCHES) : session.search.findNext(text, MATCHES))} onClose={close} /> : (
          <>
            <Tooltip label="Search (Ctrl+Shift+F)"><ActionIcon size="sm" className="terminal-tool" aria-label="Search in the console" onClick={() => setSearching(true)}><Search size={14} /></ActionIcon></Tooltip>
            <Tooltip label="Clear the screen here; the guest is not told"><ActionIcon size="sm" className="terminal-tool" aria-label="Clear the console" onClick={() => { session.terminal.clear(); session.focus(); }}><Eraser size={14} /></ActionIcon></Tooltip>
          </>
        )}
      </div>
      {isQuiet && <Quiet name={name} early={early} />}
      <div ref={place} className="terminal-place" role="group" aria-label={label} />
    </div>
  );
}

/** An empty screen says whether the guest is at work, and where it can be seen to be. */
function Quiet({ name, early }: { name: string; early: ConsoleInfo | undefined }) {
  const mips = useStats(name).at(-1)?.mips;
  return (
    <div className="terminal-quiet" role="status">
      Waiting for the first output of {name}{mips === undefined ? '' : ` · ${formatMips(mips)} MIPS`}
      {early !== undefined && <button type="button" className="terminal-quiet-link" onClick={() => go({ view: 'consoles', name, consoleId: early.id })}>Watch its kernel start on {early.title}</button>}
    </div>
  );
}

function SearchBar({ onFind, onClose }: { onFind: (text: string, back: boolean) => void; onClose: () => void }) {
  const [text, setText] = useState('');
  return (
    <Group gap={4} wrap="nowrap" className="terminal-search">
      <TextInput
        size="xs" w={200} placeholder="Search" aria-label="Search text" autoFocus value={text}
        onChange={({ currentTarget }) => { setText(currentTarget.value); onFind(currentTarget.value, false); }}
        onKeyDown={(event) => { if (event.key === 'Enter') { event.preventDefault(); onFind(text, event.shiftKey); } if (event.key === 'Escape') onClose(); }}
      />
      <ActionIcon size="sm" aria-label="Previous match" onClick={() => onFind(text, true)}><ChevronUp size={14} /></ActionIcon>
      <ActionIcon size="sm" aria-label="Next match" onClick={() => onFind(text, false)}><ChevronDown size={14} /></ActionIcon>
      <ActionIcon size="sm" aria-label="Close search" onClick={onClose}><X size={14} /></ActionIcon>
    </Group>
  );
}
