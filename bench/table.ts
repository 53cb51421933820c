/** The figures of one run: repeated, reduced to medians, printed as one Markdown table. */
export type Column = 'ours' | 'tcg' | 'v86' | 'native';

export const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

interface Row { unit: string; goal: string; program?: boolean; values: Map<Column, number[]> }

export class Table {
  readonly #rows = new Map<string, Row>();
  readonly #notes: string[] = [];

  /** One more value of a row. */
  add(name: string, unit: string, column: Column, value: number, goal = ''): void {
    let row = this.#rows.get(name);
    if (row === undefined) this.#rows.set(name, (row = { unit, goal, values: new Map() }));
    if (goal !== '') row.goal = goal;
    const list = row.values.get(column) ?? [];
    list.push(value);
    row.values.set(column, list);
  }

  note(text: string): void { this.#notes.push(text); }

  /** Geometric mean of ours / other over the programs' rows that have both. */
  computeMean(other: Column): number | undefined {
    const ratios = [...this.#rows].filter(([, row]) => row.program).map(([name]) => this.#ratio(name, other)).filter((ratio) => ratio !== undefined);
    return ratios.length === 0 ? undefined : Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  }

  /** One more run of a program of the compute set. */
  addProgram(name: string, column: Column, seconds: number): void {
    this.add(name, 's', column, seconds);
    this.#rows.get(name)!.program = true;
  }

  #ratio(name: string, other: Column): number | undefined {
    const values = this.#rows.get(name)?.values;
    const [ours, theirs] = [values?.get('ours'), values?.get(other)];
    return ours === undefined || theirs === undefined ? undefined : median(ours) / median(theirs);
  }

  /** Cells are `median [least-most]`; ratios are ours / theirs, whichever way is better. */
  markdown(columns: readonly Column[]): string {
    const peers = columns.filter((column) => column !== 'ours');
    const lines = [
      `| ${['', 'unit', ...columns, ...peers.map((peer) => `/ ${peer}`), 'goal'].join(' | ')} |`,
      `|---|---|${'---|'.repeat(columns.length + peers.length)}---|`,
    ];
    for (const [name, { unit, goal, values }] of this.#rows) {
      const cells = columns.map((column) => cell(values.get(column)));
      const ratios = peers.map((peer) => this.#ratio(name, peer)?.toFixed(2) ?? '');
      lines.push(`| ${[name, unit, ...cells, ...ratios, goal].join(' | ')} |`);
    }
    return [...lines, ...this.#notes.map((note) => `\n${note}`)].join('\n');
  }
}

function cell(values: readonly number[] | undefined): string {
  if (values === undefined) return '';
  const middle = text(median(values));
  return values.length === 1 ? middle : `${middle} [${text(Math.min(...values))}-${text(Math.max(...values))}]`;
}

function text(value: number): string {
  return value >= 1000 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(3);
}
