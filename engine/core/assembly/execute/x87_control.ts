/**
 * x87 control instructions: control and status word, environment, state, stack pointer, tags.
 *
 * @spec SDM vol. 2, FCLEX to FXCH; vol. 1, 8.1.10 (formats of the environment in memory, figures 8-9 to 8-12)
 * @cover #Y the four environment formats (16 and 32 bit, protected and real-address)   #N FENI, FDISI, FSETPM: no operation
 */
import { MODE_PROTECTED, MODE_V86, RAX, cpu, mode, setGpr16 } from '../cpu';
import {
  OP_FDECSTP, OP_FFREE, OP_FFREEP, OP_FINCSTP, OP_FLDCW, OP_FLDENV, OP_FNCLEX, OP_FNDISI, OP_FNENI, OP_FNINIT, OP_FNOP, OP_FNSAVE,
  OP_FNSETPM, OP_FNSTCW, OP_FNSTENV, OP_FNSTSW_AX, OP_FNSTSW_M, OP_FRSTOR, OP_FWAIT,
} from '../gen/ops';
import { S_FCS, S_FCW, S_FDP, S_FDS, S_FIP, S_FOP, S_FPR, S_FTW, S_MMU_CONTEXT } from '../gen/state';
import { linear, needAlignment, probeRead, probeWrite, read16, read32, readIn, write16, write32, writeIn } from '../mmu';
import { recOpcode, recSize } from '../record';
import { NORMAL, ZERO, classOf } from '../x87/format';
import {
  C1, enter, enterNoWait, fcw, fsw, initialize, noteInstruction, pop, refreshSummary, setEmpty, setFsw, setTop, st, top, wait, writeControl,
} from '../x87/stack';

/** Executes a control instruction; false when the op is none. */
export function control(op: u32, rec: usize): bool {
  switch (op) {
    case OP_FWAIT: wait(); return true;
    case OP_FNSTSW_AX: enterNoWait(); setGpr16(RAX, <u16>fsw()); return true;
    case OP_FNSTSW_M: enterNoWait(); write16(linear(rec, 2, true), <u16>fsw()); return true;
    case OP_FNSTCW: enterNoWait(); write16(linear(rec, 2, true), <u16>fcw()); return true;
    case OP_FLDCW: enter(); writeControl(read16(linear(rec, 2, false))); return true;
    case OP_FNINIT: enterNoWait(); initialize(); return true;
    case OP_FNCLEX: enterNoWait(); setFsw(fsw() & 0x7f00); return true;
    case OP_FNENI: case OP_FNDISI: case OP_FNSETPM: enterNoWait(); return true;
    case OP_FNOP: enter(); noteInstruction(rec); return true;
    case OP_FINCSTP: enter(); noteInstruction(rec); setFsw(fsw() & ~C1); setTop(top() + 1); return true;
    case OP_FDECSTP: enter(); noteInstruction(rec); setFsw(fsw() & ~C1); setTop(top() - 1); return true;
    case OP_FFREE: case OP_FFREEP:
      enter();
      noteInstruction(rec);
      setFsw(fsw() & ~C1);
      setEmpty((recOpcode(rec) >> 8) & 7);
      if (op == OP_FFREEP) pop();
      return true;
    case OP_FNSTENV: {
      enterNoWait();
      const gva = area(rec, environmentSize(rec), true);
      storeEnvironment(rec, gva);
      store<u16>(cpu, <u16>(fcw() | 0x3f), S_FCW);
      refreshSummary();
      return true;
    }
    case OP_FLDENV: {
      enter();
      loadEnvironment(rec, area(rec, environmentSize(rec), false));
      return true;
    }
    case OP_FNSAVE: saveState(rec); return true;
    case OP_FRSTOR: restoreState(rec); return true;
    default: return false;
  }
}

// @ts-ignore: decorator
@inline function environmentSize(rec: usize): u32 { return recSize(rec) == 2 ? 14 : 28; }
/** Linear address of an environment or state of `size` bytes, wholly accessible; its alignment is that of its words. */
function area(rec: usize, size: u32, write: bool): u64 {
  const word: u32 = recSize(rec) == 2 ? 2 : 4;
  const first = linear(rec, word, write); // accessed before the limit counts for the rest
  needAlignment(first, word);
  if (write) probeWrite(first, word);
  else probeRead(first, word);
  const gva = linear(rec, size, write);
  if (write) probeWrite(gva, size);
  else probeRead(gva, size);
  return gva;
}

// @ts-ignore: decorator
@inline function realFormat(): bool { return (mode() & MODE_PROTECTED) == 0 || (mode() & MODE_V86) != 0; }

/** The tag word with 01 (zero) and 10 (special) worked out from the registers. */
function fullTags(): u32 {
  let tags: u32 = load<u16>(cpu, S_FTW);
  for (let i: u32 = 0; i < 8; i++) {
    if (((tags >> (i << 1)) & 3) == 3) continue;
    const at = cpu + S_FPR + (<usize>i << 4);
    const cls = classOf(load<u16>(at, 8), load<u64>(at));
    const tag: u32 = cls == NORMAL ? 0 : cls == ZERO ? 1 : 2;
    tags = (tags & ~(3 << (i << 1))) | (tag << (i << 1));
  }
  return tags;
}

/** Keeps 11 as it is and folds the other tags into 00. */
function foldTags(tags: u32): u32 {
  const both = tags & (tags >> 1) & 0x5555;
  return both | (both << 1);
}

function storeEnvironment(rec: usize, gva: u64): void {
  const fip = load<u64>(cpu, S_FIP), fdp = load<u64>(cpu, S_FDP);
  const fcs: u32 = load<u16>(cpu, S_FCS), fds: u32 = load<u16>(cpu, S_FDS), fop: u32 = load<u16>(cpu, S_FOP);
  if (recSize(rec) == 2) {
    write16(gva, <u16>fcw());
    write16(gva + 2, <u16>fsw());
    write16(gva + 4, <u16>fullTags());
    if (realFormat()) {
      const ip = (fcs << 4) + <u32>fip, dp = (fds << 4) + <u32>fdp;
      write16(gva + 6, <u16>ip);
      write16(gva + 8, <u16>(((ip >> 4) & 0xf000) | fop));
      write16(gva + 10, <u16>dp);
      write16(gva + 12, <u16>((dp >> 4) & 0xf000));
    } else {
      write16(gva + 6, <u16>fip);
      write16(gva + 8, <u16>fcs);
      write16(gva + 10, <u16>fdp);
      write16(gva + 12, <u16>fds);
    }
    return;
  }
  write32(gva, fcw() | 0xffff0000);
  write32(gva + 4, fsw() | 0xffff0000);
  write32(gva + 8, fullTags() | 0xffff0000);
  if (realFormat()) {
    const ip = (fcs << 4) + <u32>fip, dp = (fds << 4) + <u32>fdp;
    write32(gva + 12, (ip & 0xffff) | 0xffff0000);
    write32(gva + 16, ((ip & 0xffff0000) >> 4) | fop);
    write32(gva + 20, (dp & 0xffff) | 0xffff0000);
    write32(gva + 24, (dp & 0xffff0000) >> 4);
  } else {
    write32(gva + 12, <u32>fip);
    write32(gva + 16, fcs | (fop << 16));
    write32(gva + 20, <u32>fdp);
    write32(gva + 24, fds | 0xffff0000);
  }
}

function loadEnvironment(rec: usize, gva: u64): void {
  let cw: u32, sw: u32, tags: u32, fcs: u32 = 0, fds: u32 = 0, fop: u32 = 0;
  let fip: u64, fdp: u64;
  if (recSize(rec) == 2) {
    cw = read16(gva);
    sw = read16(gva + 2);
    tags = read16(gva + 4);
    fip = read16(gva + 6);
    fdp = read16(gva + 10);
    const third: u32 = read16(gva + 8), fifth: u32 = read16(gva + 12);
    if (realFormat()) {
      fip |= <u64>(third & 0xf000) << 4;
      fop = third & 0x7ff;
      fdp |= <u64>(fifth & 0xf000) << 4;
    } else {
      fcs = third;
      fds = fifth;
    }
  } else {
    cw = read32(gva) & 0xffff;
    sw = read32(gva + 4) & 0xffff;
    tags = read32(gva + 8) & 0xffff;
    const third = read32(gva + 16), fifth = read32(gva + 24);
    if (realFormat()) {
      fip = <u64>(read32(gva + 12) & 0xffff) | (<u64>(third & 0x0ffff000) << 4);
      fop = third & 0x7ff;
      fdp = <u64>(read32(gva + 20) & 0xffff) | (<u64>(fifth & 0x0ffff000) << 4);
    } else {
      fip = <u64>read32(gva + 12);
      fcs = third & 0xffff;
      fop = (third >> 16) & 0x7ff;
      fdp = <u64>read32(gva + 20);
      fds = fifth & 0xffff;
    }
  }
  setFsw(sw);
  store<u16>(cpu, <u16>foldTags(tags), S_FTW);
  store<u64>(cpu, fip, S_FIP);
  store<u64>(cpu, fdp, S_FDP);
  store<u16>(cpu, <u16>fcs, S_FCS);
  store<u16>(cpu, <u16>fds, S_FDS);
  store<u16>(cpu, <u16>fop, S_FOP);
  writeControl(cw);
}

function saveState(rec: usize): void {
  enterNoWait();
  const gva = area(rec, environmentSize(rec) + 80, true);
  storeEnvironment(rec, gva);
  const context = load<u32>(cpu, S_MMU_CONTEXT); // the registers are aligned as the environment is
  let at = gva + <u64>environmentSize(rec);
  for (let i: u32 = 0; i < 8; i++) {
    writeIn(context, at, 8, load<u64>(st(i)));
    writeIn(context, at + 8, 2, <u64>load<u16>(st(i), 8));
    at += 10;
  }
  initialize();
}

function restoreState(rec: usize): void {
  enter();
  const gva = area(rec, environmentSize(rec) + 80, false);
  loadEnvironment(rec, gva);
  const context = load<u32>(cpu, S_MMU_CONTEXT);
  let at = gva + <u64>environmentSize(rec);
  for (let i: u32 = 0; i < 8; i++) {
    store<u64>(st(i), readIn(context, at, 8));
    store<u16>(st(i), <u16>readIn(context, at + 8, 2), 8);
    at += 10;
  }
}

