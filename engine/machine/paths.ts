/**
 * Where ACRN Desktop keeps things on this computer, by each system's custom. Environment variables override, so
 * that tests and several installations stay apart.
 *
 * @spec XDG Base Directory Specification; Apple and Microsoft's known folders
 */
import { homedir, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

const NAME = 'acrn-desktop';

function base(variable: string, linux: string, mac: string, windows: string): string {
  if (process.platform === 'darwin') return join(homedir(), mac);
  if (process.platform === 'win32') return join(process.env[windows] ?? homedir());
  return process.env[variable] ?? join(homedir(), linux);
}

/** VM definitions, disk images and settings. ACRN_DESKTOP_DATA overrides. */
export function dataDir(): string {
  return process.env['ACRN_DESKTOP_DATA'] ?? join(base('XDG_DATA_HOME', '.local/share', 'Library/Application Support', 'APPDATA'), NAME);
}

/** What set-up fetched and built; may be deleted at any time. ACRN_DESKTOP_CACHE overrides. */
export function cacheDir(): string {
  return process.env['ACRN_DESKTOP_CACHE'] ?? join(base('XDG_CACHE_HOME', '.cache', 'Library/Caches', 'LOCALAPPDATA'), NAME);
}

/** Where compiled guest code is kept from one start to the next, by the code that made it; ACRN_JIT_KEEP overrides: another folder, or `off`. */
export function codeDir(): string | undefined {
  const given = process.env['ACRN_JIT_KEEP'];
  return given === 'off' ? undefined : (given || join(cacheDir(), 'jit'));
}

/** Running VMs, their PTY links and sockets; of this user alone. ACRN_DESKTOP_RUNTIME overrides. */
export function runtimeDir(): string {
  const given = process.env['ACRN_DESKTOP_RUNTIME'];
  if (given) return given;
  const xdg = process.env['XDG_RUNTIME_DIR'];
  return xdg ? join(xdg, NAME) : join(tmpdir(), `${NAME}-${userInfo().username}`);
}

/** The default guest as set-up built it. */
export function guestImages(): { kernel: string; ramdisk: string; disk: string } {
  const dir = join(cacheDir(), 'guest');
  return { kernel: join(dir, 'vmlinuz'), ramdisk: join(dir, 'initrd.img'), disk: join(dir, 'uos.img') };
}
