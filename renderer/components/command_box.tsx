import { CopyIcon } from './copy.tsx';

/** The equivalent acrn-dm command line. */
export function CommandBox({ command }: { command: string }) {
  return (
    <div className="command-box">
      <pre tabIndex={0} aria-label="acrn-dm command line">{command}</pre>
      <div className="command-copy"><CopyIcon value={command} label="Copy the command line" /></div>
    </div>
  );
}
