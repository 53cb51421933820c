import { Input, SimpleGrid, Text, UnstyledButton } from '@mantine/core';
import { Check, Cpu } from 'lucide-react';
import type { NucInfo, VmInfo } from '../../../engine/contract/engine_api.ts';

/** Which pCPUs the VM gets, and who else has them. vCPU i runs on the i-th lowest pCPU chosen. */
export function PcpuPicker({ value, onChange, nuc, others, error }: { value: readonly number[]; onChange: (ids: number[]) => void; nuc: NucInfo | undefined; others: readonly VmInfo[]; error?: string }) {
  const toggle = (id: number): void => onChange((value.includes(id) ? value.filter((other) => other !== id) : [...value, id]).sort((a, b) => a - b));
  return (
    <Input.Wrapper label="pCPUs" description="Each vCPU has a pCPU to itself while the VM runs; the lowest one starts the guest." error={error} labelElement="div">
      <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="xs" mt={8} role="group" aria-label="pCPUs">
        {(nuc?.pcpus ?? [0, 1, 2, 3].map((id) => ({ id }) as NucInfo['pcpus'][number])).map(({ id, vm }) => {
          const checked = value.includes(id);
          const owners = others.filter(({ definition }) => definition?.cpuAffinity.includes(id)).map(({ name }) => name);
          const usedBy = vm !== undefined && others.some(({ name }) => name === vm) ? vm : undefined;
          const note = usedBy !== undefined ? `${usedBy} runs here` : owners.length > 0 ? `also in ${owners.join(', ')}` : 'free';
          return (
            <UnstyledButton key={id} role="checkbox" aria-checked={checked} aria-label={`pCPU ${id}, ${note}`} className="pcpu-pick" data-checked={checked} onClick={() => toggle(id)}>
              <span className="pcpu-pick-head"><Cpu size={16} aria-hidden /><Text size="sm" fw={600}>pCPU {id}</Text>{checked && <Check size={15} className="pcpu-pick-check" aria-hidden />}</span>
              <Text size="xs" c={usedBy !== undefined ? 'orange' : 'dimmed'} truncate title={note}>{checked && note === 'free' ? `vCPU ${value.indexOf(id)}${value.indexOf(id) === 0 ? ', BSP' : ''}` : note}</Text>
            </UnstyledButton>
          );
        })}
      </SimpleGrid>
    </Input.Wrapper>
  );
}
