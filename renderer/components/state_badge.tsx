import { Badge, Loader, Tooltip } from '@mantine/core';
import type { VmInfo, VmState } from '../../engine/contract/engine_api.ts';

const COLORS: Record<VmState, string> = { stopped: 'gray', starting: 'blue', running: 'green', paused: 'yellow', stopping: 'blue', crashed: 'red' };
const WORDS: Record<VmState, string> = { stopped: 'Stopped', starting: 'Starting', running: 'Running', paused: 'Paused', stopping: 'Stopping', crashed: 'Crashed' };

export function StateBadge({ vm }: { vm: VmInfo }) {
  const busy = vm.state === 'starting' || vm.state === 'stopping';
  const badge = (
    <Badge
      variant="light" radius="sm" color={COLORS[vm.state]} tt="none" fw={600} data-state={vm.state}
      leftSection={busy ? <Loader size={10} color={COLORS[vm.state]} /> : <span className="state-dot" data-state={vm.state} />}
    >
      {WORDS[vm.state]}
    </Badge>
  );
  return vm.detail === '' ? badge : <Tooltip label={vm.detail} multiline maw={360}>{badge}</Tooltip>;
}
