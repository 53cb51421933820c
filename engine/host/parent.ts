/** The process that started this one over an IPC channel. */

/** Calls back once when it is gone, however it ended. Without such a parent nothing happens; the channel keeps nobody alive. */
export function whenParentEnds(action: () => void): void {
  if (!process.connected) return;
  process.once('disconnect', action);
  process.channel?.unref();
}
