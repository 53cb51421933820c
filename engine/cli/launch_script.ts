/**
 * Finds the acrn-dm command in a launch script (launch_uos.sh and its kin) without running the script: it may take
 * CPUs offline, unbind devices or ask for root, none of which an emulated NUC needs.
 *
 * @spec   POSIX.1 Shell Command Language 2.2 quoting, 2.3 tokens, 2.6.2 parameter expansion, 2.9.5 functions
 * @cover  #Y functions with arguments, variables, ${x:-y}, ${x:offset:length}, line continuation, comments, quotes
 *         #P conditions and loops: their bodies count as if run once   #N arrays, arithmetic, command substitution
 * @differ What $( ) would print is taken as empty, and reported.
 */
export interface LaunchCommand {
  /** acrn-dm's arguments; undefined when the script runs no acrn-dm. */
  command: string[] | undefined;
  /** Command substitutions that the arguments depend on. */
  skipped: string[];
}

interface Context {
  variables: Map<string, string>;
  functions: Map<string, string[]>;
  skipped: Set<string>;
}

const MAX_DEPTH = 20;
const KEYWORDS = new Set(['if', 'then', 'else', 'elif', 'while', 'until', 'do', '!', 'exec', 'sudo', 'export', 'local', 'readonly', 'declare', 'nohup', 'time']);

/** @param args the script's own arguments, $1 and on */
export function readLaunchScript(text: string, args: readonly string[] = []): LaunchCommand {
  const context: Context = { variables: new Map(), functions: new Map(), skipped: new Set() };
  const command = run(logicalLines(text), args, context, 0);
  return { command, skipped: command === undefined ? [] : [...context.skipped] };
}

function logicalLines(text: string): string[] {
  return text.replaceAll('\r\n', '\n').replaceAll(/\\\n/g, ' ').split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
}

/** Runs lines as far as the first acrn-dm; returns its arguments. */
function run(lines: readonly string[], args: readonly string[], context: Context, depth: number): string[] | undefined {
  if (depth > MAX_DEPTH) return undefined;
  for (let at = 0; at < lines.length; at += 1) {
    const head = /^(?:function\s+([\w-]+)\s*(?:\(\s*\))?|([\w-]+)\s*\(\s*\))\s*(\{)?$/.exec(lines[at]);
    if (head) {
      const start = head[3] === '{' ? at + 1 : at + 2;
      let end = start;
      while (end < lines.length && lines[end] !== '}') end += 1;
      context.functions.set(head[1] ?? head[2], lines.slice(start, end));
      at = end;
      continue;
    }
    for (const statement of statements(lines[at])) {
      const found = runStatement(statement, args, context, depth);
      if (found) return found;
    }
  }
  return undefined;
}

function runStatement(statement: string, args: readonly string[], context: Context, depth: number): string[] | undefined {
  let words = rawWords(statement);
  while (words.length > 0 && KEYWORDS.has(words[0])) words = words.slice(1);
  const assignments: Array<[string, string]> = [];
  for (let match; words.length > 0 && (match = /^([A-Za-z_]\w*)=([\s\S]*)$/.exec(words[0])); words = words.slice(1)) assignments.push([match[1], match[2]]);
  const skippedBefore = new Set(context.skipped);
  for (const [name, raw] of assignments) {
    context.variables.set(name, expand(raw, args, context).join(' '));
    if (context.skipped.size === skippedBefore.size) continue;
    for (const text of context.skipped) if (!skippedBefore.has(text)) context.variables.set(`${name}\0skipped`, text);
    context.skipped.clear();
    for (const text of skippedBefore) context.skipped.add(text);
  }
  const [name, ...rest] = words;
  if (name === undefined) return undefined;
  const program = expand(name, args, context)[0] ?? '';
  if (program === 'acrn-dm' || program.endsWith('/acrn-dm')) return rest.flatMap((word) => expand(word, args, context));
  const body = context.functions.get(program);
  return body && run(body, rest.flatMap((word) => expand(word, args, context)), context, depth + 1);
}

/** Cuts a line at ; & | and their kin outside quotes, and at a comment. */
function statements(line: string): string[] {
  return scan(line, (c, before) => (c === '#' && (before === '' || /\s$/.test(before)) ? 'end' : /[;&|\n]/.test(c) ? 'cut' : 'keep'));
}

/** Words with their quotes and dollars still in them. */
function rawWords(statement: string): string[] {
  return scan(statement, (c) => (/\s/.test(c) ? 'cut' : /[<>]/.test(c) ? 'end' : 'keep'));
}

function scan(text: string, decide: (c: string, before: string) => 'keep' | 'cut' | 'end'): string[] {
  const parts: string[] = [];
  let part = '';
  for (let i = 0; i < text.length; i += 1) {
    const length = quotedLength(text, i);
    if (length > 0) {
      part += text.slice(i, i + length);
      i += length - 1;
      continue;
    }
    const what = decide(text[i], part);
    if (what === 'end') break;
    if (what === 'keep') part += text[i];
    else if (part !== '') { parts.push(part); part = ''; }
  }
  if (part !== '') parts.push(part);
  return parts;
}

/** Length of the quoted string, escape or $( ) ${ } that begins here; 0 for any other character. */
function quotedLength(text: string, at: number): number {
  const c = text[at];
  if (c === '\\') return 2;
  if (c === "'") return closing(text, at, "'");
  if (c === '`') return closing(text, at, '`');
  if (c === '"') {
    let i = at + 1;
    while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : text[i] === '$' ? Math.max(1, quotedLength(text, i)) : 1;
    return i + 1 - at;
  }
  if (c === '$' && (text[at + 1] === '(' || text[at + 1] === '{')) {
    const [open, close] = text[at + 1] === '(' ? ['(', ')'] : ['{', '}'];
    let depth = 0;
    for (let i = at + 1; i < text.length; i += 1) {
      if (text[i] === open) depth += 1;
      else if (text[i] === close && (depth -= 1) === 0) return i + 1 - at;
    }
    return text.length - at;
  }
  return 0;
}

function closing(text: string, at: number, quote: string): number {
  const end = text.indexOf(quote, at + 1);
  return (end < 0 ? text.length : end + 1) - at;
}

/** A raw word as the words it becomes: quotes removed, parameters expanded, unquoted values split at blanks. */
function expand(word: string, args: readonly string[], context: Context): string[] {
  const done: string[] = [];
  let now: string | undefined;
  const addText = (text: string): void => { now = (now ?? '') + text; };
  const addValue = (value: string, quoted: boolean): void => {
    if (quoted) return addText(value);
    const [first, ...rest] = value.split(/[ \t\n]+/);
    if (first !== '') addText(first);
    for (const piece of rest) {
      if (now !== undefined) done.push(now);
      now = piece === '' ? undefined : piece;
    }
  };
  const pieces = (text: string, quoted: boolean): void => {
    for (let i = 0; i < text.length; i += 1) {
      const c = text[i];
      if (c === '\\' && (!quoted || /["\\$`]/.test(text[i + 1] ?? ''))) { addText(text[i + 1] ?? ''); i += 1; continue; }
      if (c === '$') {
        const length = quotedLength(text, i) || (/^\$(\w+|[#@*])/.exec(text.slice(i))?.[0].length ?? 0);
        if (length > 0) {
          addValue(parameter(text.slice(i, i + length), args, context), quoted);
          i += length - 1;
          continue;
        }
      }
      if (c === '`') {
        const length = quotedLength(text, i);
        context.skipped.add(text.slice(i, i + length));
        i += length - 1;
        continue;
      }
      if (!quoted && (c === '"' || c === "'")) {
        const length = quotedLength(text, i);
        const inside = text.slice(i + 1, i + length - 1);
        now ??= '';
        if (c === "'") addText(inside);
        else pieces(inside, true);
        i += length - 1;
        continue;
      }
      addText(c);
    }
  };
  pieces(word, false);
  if (now !== undefined) done.push(now);
  return done;
}

/** The value of `$x`, `$1`, `${x}`, `${x:-y}`, `${x:1:2}`, `$(...)`. */
function parameter(text: string, args: readonly string[], context: Context): string {
  if (text.startsWith('$(')) {
    context.skipped.add(text);
    return '';
  }
  const [, name = '', rest = ''] = /^\$\{?(\w+|[#@*])([\s\S]*?)\}?$/.exec(text) ?? [];
  const skipped = context.variables.get(`${name}\0skipped`);
  if (skipped !== undefined) context.skipped.add(skipped);
  const value = name === '#' ? String(args.length) : name === '@' || name === '*' ? args.join(' ') : /^\d+$/.test(name) ? (name === '0' ? 'launch_uos.sh' : args[Number(name) - 1]) : context.variables.get(name) ?? process.env[name];
  const cut = /^:(\d+)(?::(\d+))?$/.exec(rest);
  if (cut) return (value ?? '').slice(Number(cut[1]), cut[2] === undefined ? undefined : Number(cut[1]) + Number(cut[2]));
  const fallback = /^:?-([\s\S]*)$/.exec(rest);
  if (fallback && (value === undefined || value === '')) return expand(fallback[1], args, context).join(' ');
  return value ?? '';
}
