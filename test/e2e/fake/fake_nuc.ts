/**
 * Stands in for a NUC: speaks the NUC protocol, keeps its VMs' states, echoes consoles. No emulation in it.
 *
 * @spec   engine/contract/nuc_protocol.ts
 * @cover  #Y all requests and events   #N guests
 */
import type { FromNuc, RunningVm, ToNuc } from '../../../engine/contract/nuc_protocol.ts';
import type { ConsoleInfo } from '../../../engine/contract/engine_api.ts';
import type { VmDefinition } from '../../../engine/contract/vm_definition.ts';

interface FakeVm {
  vm: RunningVm;
  scrollback: Map<string, string>;
  /** Viewers by console. */
  attached: Map<string, number>;
  line: string;
}

export interface FakeNucOptions {
  post: (message: FromNuc) => void;
  /** Calls back later; tests without a clock call at once. */
  later: (callback: () => void, ms: number) => void;
  now: () => number;
  /** Ends the process the NUC runs in. */
  exit: (code: number) => void;
}

const BANNER = [
  'Linux version 6.12.48+deb13-cloud-amd64 (debian-kernel@lists.debian.org)',
  'Command line: console=ttyS0 console=hvc0 root=/dev/vda rw',
  'BIOS-provided physical RAM map:',
  'BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable',
  'Hypervisor detected: ACRN',
  'tsc: Detected 1000.000 MHz processor',
  'smpboot: Allowing 2 CPUs, 0 hotplug CPUs',
  'virtio_blk virtio1: [vda] 131072 512-byte logical blocks (67.1 MB/64.0 MiB)',
  'EXT4-fs (vda): mounted filesystem with ordered data mode.',
  'Run /sbin/init as init process',
];

export class FakeNuc {
  readonly #options: FakeNucOptions;
  readonly #vms = new Map<string, FakeVm>();
  #nextVmid = 1;
  #nextPty = 3;
  #memoryMiB = 0;
  #ticks = 0;

  constructor(options: FakeNucOptions) { this.#options = options; }

  receive(message: ToNuc): void {
    try {
      this.#options.post({ id: message.id, command: message.command, reply: this.#answer(message) } as FromNuc);
    } catch (error) {
      this.#options.post({ id: message.id, problem: { code: 'FAKE', what: `${message.command} failed`, why: (error as Error).message, todo: 'Ask for something else' } });
    }
  }

  /** One second of statistics for every running VM. */
  tick(): void {
    this.#ticks += 1;
    for (const { vm } of this.#vms.values()) {
      if (vm.state !== 'running') continue;
      const wave = Math.sin(this.#ticks / 4 + vm.vmid);
      this.#options.post({ event: 'vm.stats', data: {
        name: vm.name,
        atMs: this.#options.now(),
        mips: 180 + 60 * wave,
        cpuShare: 0.6 + 0.3 * wave,
        exits: {
          EXTERNAL_INTERRUPT: Math.round(120 + 20 * wave), HLT: Math.round(90 - 40 * wave), IO_INSTRUCTION: Math.round(340 + 200 * wave),
          EPT_VIOLATION: Math.round(45 + 30 * wave), WRMSR: Math.round(260 + 80 * wave), CPUID: 2, CR_ACCESS: Math.round(6 + 3 * wave),
        },
      } });
    }
  }

  output(name: string, consoleId: string, data: string): void {
    const fake = this.#vms.get(name);
    if (fake === undefined) return;
    fake.scrollback.set(consoleId, (fake.scrollback.get(consoleId) ?? '') + data);
    if ((fake.attached.get(consoleId) ?? 0) > 0) this.#options.post({ event: 'console.output', data: { name, consoleId, data } });
  }

  #answer(message: ToNuc): unknown {
    switch (message.command) {
      case 'nuc.start':
        this.#memoryMiB = message.request.memoryMiB;
        this.#log(`NUC with ${message.request.pcpus} pCPUs and ${this.#memoryMiB} MiB is up`);
        return {};
      case 'vm.start': return this.#start(message.request.definition);
      case 'vm.stop': return this.#stop(this.#vm(message.request.name), message.request.force);
      case 'vm.reset': return this.#change(this.#vm(message.request.name), 'running', '');
      case 'vm.pause': return this.#change(this.#vm(message.request.name), 'paused', '');
      case 'vm.resume': return this.#change(this.#vm(message.request.name), 'running', '');
      case 'console.attach': {
        const fake = this.#vm(message.request.name);
        if (!fake.scrollback.has(message.request.consoleId)) throw new Error(`no console ${message.request.consoleId}`);
        this.#view(fake, message.request.consoleId, 1);
        return { scrollback: fake.scrollback.get(message.request.consoleId) ?? '' };
      }
      case 'console.detach': this.#view(this.#vm(message.request.name), message.request.consoleId, -1); return {};
      case 'console.write': return this.#write(this.#vm(message.request.name), message.request.consoleId, message.request.data);
    }
  }

  #start(definition: VmDefinition): RunningVm {
    if (definition.bootargs.includes('fail')) throw new Error('the kernel was not found');
    const vm: RunningVm = {
      name: definition.name,
      state: 'starting',
      vmid: this.#nextVmid++,
      cpuAffinity: definition.cpuAffinity,
      memoryMiB: definition.memoryMiB,
      startedAt: this.#options.now(),
      consoles: this.#consoles(definition),
      detail: 'SW_LOAD: loading the kernel',
    };
    this.#vms.set(vm.name, { vm, scrollback: new Map(vm.consoles.map(({ id }) => [id, ''])), attached: new Map(), line: '' });
    this.#log(`acrn-dm: ${vm.name} starts`);
    this.#options.later(() => {
      const fake = this.#vms.get(vm.name);
      if (fake === undefined || fake.vm.state !== 'starting') return;
      this.#change(fake, 'running', '');
      this.#boot(vm);
    }, 300);
    return { ...vm };
  }

  #consoles(definition: VmDefinition): ConsoleInfo[] {
    const consoles: ConsoleInfo[] = [];
    if (definition.lpc.com1 !== undefined) consoles.push({ id: 'com1', title: 'ttyS0', kind: 'stdio', where: '' });
    for (const { device, config } of definition.devices) {
      if (device !== 'virtio-console') continue;
      const port = /@?(pty|stdio):([^=,]+)/.exec(config ?? '');
      if (port !== null) consoles.push({ id: `virtio-console:${port[2]}`, title: `hvc0 · ${port[2]}`, kind: port[1] === 'pty' ? 'pty' : 'stdio', where: port[1] === 'pty' ? `/dev/pts/${this.#nextPty++}` : '' });
    }
    return consoles;
  }

  #boot(vm: RunningVm): void {
    const first = vm.consoles[0]?.id;
    if (first === undefined) return;
    BANNER.forEach((line, at) => {
      this.#options.later(() => this.output(vm.name, first, `[\x1b[32m${(0.01 + at * 0.173).toFixed(6).padStart(12)}\x1b[0m] ${line}\r\n`), at * 60);
    });
    this.#options.later(() => {
      for (const { id, title } of vm.consoles) this.output(vm.name, id, `\r\nWelcome to ${vm.name} (${title}), a Linux guest.\r\n\r\n\x1b[1;32mroot@${vm.name}\x1b[0m:\x1b[1;34m~\x1b[0m# `);
    }, BANNER.length * 60 + 60);
  }

  #write(fake: FakeVm, consoleId: string, data: string): { taken: number } {
    for (const char of data) {
      if (char !== '\r') {
        fake.line = char === '\x7f' ? fake.line.slice(0, -1) : fake.line + char;
        this.output(fake.vm.name, consoleId, char === '\x7f' ? '\b \b' : char);
        continue;
      }
      const line = fake.line;
      fake.line = '';
      this.output(fake.vm.name, consoleId, '\r\n');
      if (line === 'halt') { this.#stop(fake, true); continue; }
      if (line === 'panic') { this.#panic(fake); continue; }
      if (line === 'kill-nuc') { this.#log('pcpu1: host page fault in the middle of a test'); this.#options.exit(3); return { taken: data.length }; }
      if (line.startsWith('echo ')) this.output(fake.vm.name, consoleId, `${line.slice(5)}\r\n`);
      if (line === 'colors') this.output(fake.vm.name, consoleId, '\x1b[38;2;255;120;0mtrue colour\x1b[0m \x1b[31mred\x1b[0m\r\n');
      if (line === 'flood') this.output(fake.vm.name, consoleId, 'x'.repeat(79).concat('\r\n').repeat(2000));
      this.output(fake.vm.name, consoleId, `\x1b[1;32mroot@${fake.vm.name}\x1b[0m:\x1b[1;34m~\x1b[0m# `);
    }
    return { taken: data.length };
  }

  #stop(fake: FakeVm, force: boolean): RunningVm {
    if (!force) {
      this.#options.later(() => { if (this.#vms.get(fake.vm.name) === fake) this.#stop(fake, true); }, 500);
      return this.#change(fake, 'stopping', 'asked the guest to power off');
    }
    this.#vms.delete(fake.vm.name);
    return this.#change(fake, 'stopped', 'powered off');
  }

  #panic(fake: FakeVm): void {
    this.#vms.delete(fake.vm.name);
    fake.vm.problem = { code: 'TRIPLE_FAULT', what: `${fake.vm.name} crashed`, why: 'vCPU 0 met a triple fault', todo: 'Look at its console, then start it again' };
    this.#change(fake, 'crashed', 'triple fault on vCPU 0');
  }

  #change(fake: FakeVm, state: RunningVm['state'], detail: string): RunningVm {
    fake.vm.state = state;
    fake.vm.detail = detail;
    this.#options.post({ event: 'vm.changed', data: { ...fake.vm } });
    return { ...fake.vm };
  }

  #view(fake: FakeVm, consoleId: string, by: number): void { fake.attached.set(consoleId, (fake.attached.get(consoleId) ?? 0) + by); }

  #vm(name: string): FakeVm {
    const fake = this.#vms.get(name);
    if (fake === undefined) throw new Error(`no VM ${name}`);
    return fake;
  }

  #log(line: string): void { this.#options.post({ event: 'log', data: { line } }); }
}
