/**
 * Opens the default browser, where there is a screen to show it on.
 *
 * @cover  #Y Linux with X11 or Wayland, macOS, Windows   #N a browser on another computer (ssh): the link is printed
 */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

type Environment = Record<string, string | undefined>;

/** The command that opens a link here, undefined where nothing would appear. */
export function browserCommand(platform: NodeJS.Platform, environment: Environment, isInPath = inPath): string[] | undefined {
  if (environment.SSH_CONNECTION !== undefined || environment.CI !== undefined) return undefined;
  switch (platform) {
    case 'darwin': return ['open'];
    case 'win32': return ['rundll32', 'url.dll,FileProtocolHandler'];
    default: {
      const hasDisplay = (environment.DISPLAY ?? '') !== '' || (environment.WAYLAND_DISPLAY ?? '') !== '';
      return hasDisplay && isInPath('xdg-open', environment) ? ['xdg-open'] : undefined;
    }
  }
}

/** @returns whether a browser was asked */
export function openBrowser(link: string): boolean {
  const [command, ...args] = browserCommand(process.platform, process.env) ?? [];
  if (command === undefined) return false;
  const child = spawn(command, [...args, link], { stdio: 'ignore', detached: true });
  child.on('error', () => {}); // the link is on the screen anyway
  child.unref();
  return true;
}

function inPath(command: string, environment: Environment): boolean {
  return (environment.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
