/**
 * The board's one clock: nanoseconds since the board was switched on, the same in every thread.
 *
 * @spec Node's process.hrtime is one monotonic source for all threads of a process; performance.now has an origin a
 *       thread and would make the TSCs of two pCPUs differ.
 */
export type TimeNs = () => number;

/** @param baseSeconds value of `boardEpoch()` taken when the board was switched on */
export function boardClock(baseSeconds: number): TimeNs {
  const hrtime = process.hrtime;
  return () => {
    const now = hrtime();
    return (now[0] - baseSeconds) * 1e9 + now[1];
  };
}

export function boardEpoch(): number {
  return process.hrtime()[0];
}
