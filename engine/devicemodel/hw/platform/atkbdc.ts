/**
 * 8042 keyboard controller at ports 0x60 and 0x64 with a keyboard and a mouse nobody types on.
 *
 * @spec   IBM PS/2 Hardware Interface Technical Reference, keyboard controller; reference/acrn-device-model.md section 5.4
 * @cover  #Y controller commands, keyboard and mouse command answers, IRQ 1 and 12, reset line   #N key and mouse input, A20 gate
 */
import type { GsiOperation } from '../../../sos/vhm_if.ts';
import { byteRegisters } from '../../core/inout.ts';
import type { InoutMap } from '../../core/inout.ts';

const KBD_IRQ = 1;
const AUX_IRQ = 12;
const FIFO_BYTES = 16;
const STS_OUTPUT_FULL = 0x01;
const STS_SYS_FLAG = 0x04;
const STS_COMMAND = 0x08;
const STS_NOT_LOCKED = 0x10;
const STS_AUX_FULL = 0x20;
const CMD_KBD_INT = 0x01;
const CMD_AUX_INT = 0x02;
const CMD_SYS_FLAG = 0x04;
const CMD_KBD_DISABLED = 0x10;
const CMD_AUX_DISABLED = 0x20;
const CMD_TRANSLATE = 0x40;
const RAM_BYTES = 32;
const ACK = 0xfa;
const SELF_TEST_PASSED = 0xaa;
const RESEND = 0xfe;

interface Answer { byte: number; aux: boolean }

export class Atkbdc {
  readonly #setIrqline: (gsi: number, operation: GsiOperation) => void;
  readonly #resetCpu: () => void;
  readonly #ram = new Uint8Array(RAM_BYTES);
  #fifo: Answer[] = [];
  #lastByte = 0;
  #lastWasCommand = false;
  #pendingCommand: number | undefined;
  #kbdParameterOf: number | undefined;
  #auxParameterOf: number | undefined;
  #scanCodeSet = 2;
  #sampleRate = 100;
  #resolution = 2;
  #auxEnabled = false;

  constructor(setIrqline: (gsi: number, operation: GsiOperation) => void, resetCpu: () => void) {
    this.#setIrqline = setIrqline;
    this.#resetCpu = resetCpu;
    this.reset();
  }

  attach(inout: InoutMap): () => void {
    const data = inout.register('atkbdc data', 0x60, 1, byteRegisters(() => this.#readData(), (_offset, value) => this.#writeData(value)));
    const command = inout.register('atkbdc command', 0x64, 1, byteRegisters(() => this.#status(), (_offset, value) => this.#command(value)));
    return () => {
      data();
      command();
    };
  }

  reset(): void {
    this.#fifo = [];
    this.#ram.fill(0);
    this.#ram[0] = CMD_KBD_INT | CMD_AUX_INT | CMD_SYS_FLAG | CMD_TRANSLATE;
    this.#pendingCommand = undefined;
    this.#kbdParameterOf = undefined;
    this.#auxParameterOf = undefined;
    this.#auxEnabled = false;
  }

  #status(): number {
    const head = this.#fifo[0];
    return STS_NOT_LOCKED | (this.#ram[0] & CMD_SYS_FLAG ? STS_SYS_FLAG : 0) | (this.#lastWasCommand ? STS_COMMAND : 0)
      | (head ? STS_OUTPUT_FULL | (head.aux ? STS_AUX_FULL : 0) : 0);
  }

  #readData(): number {
    const answer = this.#fifo.shift();
    if (answer) this.#lastByte = answer.byte;
    if (this.#fifo.length > 0) this.#interrupt(this.#fifo[0]);
    return this.#lastByte;
  }

  #answer(bytes: readonly number[], aux: boolean): void {
    const wasEmpty = this.#fifo.length === 0;
    for (const byte of bytes) if (this.#fifo.length < FIFO_BYTES) this.#fifo.push({ byte, aux });
    if (wasEmpty && this.#fifo.length > 0) this.#interrupt(this.#fifo[0]);
  }

  #interrupt(answer: Answer): void {
    if (answer.aux ? this.#ram[0] & CMD_AUX_INT : this.#ram[0] & CMD_KBD_INT) this.#setIrqline(answer.aux ? AUX_IRQ : KBD_IRQ, 'rising-pulse');
  }

  #command(value: number): void {
    this.#lastWasCommand = true;
    this.#pendingCommand = undefined;
    if (value >= 0x20 && value <= 0x3f) return this.#answer([this.#ram[value & 0x1f]], false);
    if (value >= 0x60 && value <= 0x7f) { this.#pendingCommand = value; return; }
    switch (value) {
      case 0xa7: this.#ram[0] |= CMD_AUX_DISABLED; break;
      case 0xa8: this.#ram[0] &= ~CMD_AUX_DISABLED; break;
      case 0xa9: this.#answer([0x00], false); break; // AUX interface test: no error
      case 0xaa: this.#answer([0x55], false); break; // self test passed
      case 0xab: this.#answer([0x00], false); break;
      case 0xad: this.#ram[0] |= CMD_KBD_DISABLED; break;
      case 0xae: this.#ram[0] &= ~CMD_KBD_DISABLED; break;
      case 0xc0: this.#answer([0x80], false); break; // input port: keyboard not inhibited
      case 0xd0: this.#answer([0x03], false); break; // output port: A20 on, reset line high
      case 0xd1: case 0xd2: case 0xd3: case 0xd4: this.#pendingCommand = value; break;
      default: // pulse output port: bit 0 low resets the CPU
        if (value >= 0xf0 && !(value & 1)) this.#resetCpu();
    }
  }

  #writeData(value: number): void {
    this.#lastWasCommand = false;
    const command = this.#pendingCommand;
    this.#pendingCommand = undefined;
    if (command === undefined) return this.#keyboard(value);
    if (command >= 0x60 && command <= 0x7f) this.#ram[command & 0x1f] = value;
    else if (command === 0xd1 && !(value & 1)) this.#resetCpu();
    else if (command === 0xd2) this.#answer([value], false);
    else if (command === 0xd3) this.#answer([value], true);
    else if (command === 0xd4) this.#mouse(value);
  }

  #keyboard(value: number): void {
    this.#ram[0] &= ~CMD_KBD_DISABLED;
    const parameterOf = this.#kbdParameterOf;
    this.#kbdParameterOf = undefined;
    if (parameterOf !== undefined) {
      if (parameterOf === 0xf0 && value === 0) return this.#answer([ACK, this.#scanCodeSet], false);
      if (parameterOf === 0xf0) this.#scanCodeSet = value;
      return this.#answer([ACK], false);
    }
    switch (value) {
      case 0xed: case 0xf0: case 0xf3: this.#kbdParameterOf = value; return this.#answer([ACK], false);
      case 0xee: return this.#answer([0xee], false);
      case 0xf2: return this.#answer([ACK, 0xab, 0x83], false);
      case 0xf4: case 0xf5: case 0xf6: return this.#answer([ACK], false);
      case 0xff: this.#scanCodeSet = 2; return this.#answer([ACK, SELF_TEST_PASSED], false);
      default: return this.#answer([RESEND], false);
    }
  }

  #mouse(value: number): void {
    const parameterOf = this.#auxParameterOf;
    this.#auxParameterOf = undefined;
    if (parameterOf !== undefined) {
      if (parameterOf === 0xf3) this.#sampleRate = value;
      if (parameterOf === 0xe8) this.#resolution = value;
      return this.#answer([ACK], true);
    }
    switch (value) {
      case 0xe8: case 0xf3: this.#auxParameterOf = value; return this.#answer([ACK], true);
      case 0xe9: return this.#answer([ACK, this.#auxEnabled ? 0x20 : 0, this.#resolution, this.#sampleRate], true);
      case 0xeb: return this.#answer([ACK, 0x08, 0, 0], true); // no movement
      case 0xf2: return this.#answer([ACK, 0x00], true); // standard PS/2 mouse
      case 0xf4: this.#auxEnabled = true; return this.#answer([ACK], true);
      case 0xf5: this.#auxEnabled = false; return this.#answer([ACK], true);
      case 0xe6: case 0xe7: case 0xea: case 0xf0: return this.#answer([ACK], true);
      case 0xf6: case 0xff:
        this.#auxEnabled = false;
        this.#sampleRate = 100;
        this.#resolution = 2;
        return this.#answer(value === 0xff ? [ACK, SELF_TEST_PASSED, 0x00] : [ACK], true);
      default: return this.#answer([RESEND], true);
    }
  }
}
