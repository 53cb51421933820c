/** Which of python's own test modules run in the guest, in sets small enough to be run again alone. */

export interface ModuleSet {
  name: string;
  modules: string[];
  /** A module that takes longer is ended, in the guest and here. */
  secondsEach: number;
  /** The guest is switched off after this. */
  minutes: number;
}

const set = (name: string, minutes: number, secondsEach: number, modules: string): ModuleSet => ({ name, minutes, secondsEach, modules: modules.trim().split(/\s+/).map((module) => `test_${module}`) });

/** None needs a network, a display or another operating system. */
export const MODULE_SETS: ModuleSet[] = [
  set('numbers', 40, 1200, `
    math cmath float int long complex struct strtod fractions int_literal bool pow numeric_tower array
    hash index operator format fstring random statistics decimal colorsys binop unary compare richcmp`),
  set('digests', 30, 1200, 'hashlib hmac zlib bz2 lzma gzip binascii base64 audioop uuid secrets crypt quopri uu'),
  set('containers', 40, 1200, `
    set dict list tuple sort heapq bisect deque collections ordered_dict defaultdict itertools functools bytes memoryview memoryio range slice
    enumerate iter userdict userlist userstring weakref weakset copy marshal pickle dictviews dictcomps listcomps setcomps genexps unpack unpack_ex
    contains iterlen reprlib pprint graphlib`),
  set('text', 40, 1200, `
    unicode unicodedata ucn unicode_identifiers unicode_file re string string_literals codecs charmapcodec codeccallbacks stringprep json textwrap
    csv shlex html htmlparser pyexpat xml_etree sax minidom strftime strptime calendar locale utf8source source_encoding difflib configparser
    ipaddress urlparse fnmatch optparse`),
  set('language', 40, 1200, `
    generators exceptions exception_variations exception_group grammar scope descr class super types dataclasses enum contextlib coroutines asyncgen
    with yield_from dis ast patma named_expressions gc builtin call extcall keywordonlyarg positional_only_arg property decorators metaclass
    global raise baseexception except_star augassign finalization frame funcattrs symtable syntax compile code opcodes peepholer sys_settrace
    longexp abc isinstance inspect`),
  set('system', 60, 1200, `
    mmap io threading thread threadsignals signal subprocess fork1 wait3 wait4 select poll epoll selectors fcntl pty openpty os posix
    time sched queue tempfile shutil glob pathlib fileio file largefile bufio univnewlines pipes popen resource ctypes faulthandler atexit
    context threading_local shelve dbm_dumb zipfile tarfile timeit eintr file_eintr`),
];

/** Tests that fail in the guest alone, each with its reason; docs/witness.md repeats them. */
export const GUEST_ONLY: Array<{ pattern: RegExp; why: string }> = [];
