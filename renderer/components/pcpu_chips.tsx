import { Group } from '@mantine/core';

/** pCPU numbers of a VM. */
export function PcpuChips({ ids }: { ids: readonly number[] }) {
  return (
    <Group gap={4} wrap="nowrap" role="list" aria-label="pCPUs">
      {ids.map((id) => <span key={id} role="listitem" className="pcpu-chip">{id}</span>)}
    </Group>
  );
}
