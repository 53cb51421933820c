import { ActionIcon, Autocomplete, Button, Menu, Table, Text, TextInput, Tooltip } from '@mantine/core';
import { Plus, Trash2 } from 'lucide-react';
import { DEVICE_KINDS, deviceRow, freeSlot, insertBySlot } from './form_model.ts';
import type { DeviceKind, DeviceRow } from './form_model.ts';

/** The -s options, one row each. */
export function DevicesTable({ devices, onChange, errorOf }: { devices: readonly DeviceRow[]; onChange: (devices: DeviceRow[]) => void; errorOf: (path: string) => string | undefined }) {
  const change = (key: number, part: Partial<DeviceRow>): void => onChange(devices.map((row) => (row.key === key ? { ...row, ...part } : row)));
  const add = ({ device, config }: DeviceKind): void => onChange(insertBySlot(devices, deviceRow(freeSlot(devices), device, config)));
  return (
    <>
      <Table horizontalSpacing={6} verticalSpacing={6} className="devices" layout="fixed">
        <Table.Thead><Table.Tr><Table.Th w={84}>Slot</Table.Th><Table.Th w={170}>Device</Table.Th><Table.Th>Configuration</Table.Th><Table.Th w={40} aria-label="Remove" /></Table.Tr></Table.Thead>
        <Table.Tbody>
          {devices.map(({ key, slot, device, config }, at) => {
            const kind = DEVICE_KINDS.find((known) => known.device === device);
            const noConfig = kind !== undefined && kind.placeholder === '';
            return (
              <Table.Tr key={key}>
                <Table.Td><TextInput size="xs" aria-label={`Slot of device ${at + 1}`} value={slot} onChange={({ currentTarget }) => change(key, { slot: currentTarget.value })} error={errorOf(`devices.${at}.slot`)} classNames={{ input: 'mono' }} /></Table.Td>
                <Table.Td><Autocomplete size="xs" aria-label={`Name of device ${at + 1}`} data={DEVICE_KINDS.map((known) => known.device)} value={device} onChange={(value) => change(key, { device: value })} error={errorOf(`devices.${at}.device`)} classNames={{ input: 'mono' }} /></Table.Td>
                <Table.Td>
                  <Tooltip label={kind?.hint ?? 'As after the device name on the acrn-dm command line'} multiline maw={360} position="top-start">
                    <TextInput
                      size="xs" aria-label={`Configuration of device ${at + 1}`} value={config} placeholder={noConfig ? 'no configuration' : kind?.placeholder} disabled={noConfig && config === ''}
                      onChange={({ currentTarget }) => change(key, { config: currentTarget.value })} error={errorOf(`devices.${at}.config`) ?? errorOf(`devices.${at}`)} classNames={{ input: 'mono' }}
                    />
                  </Tooltip>
                </Table.Td>
                <Table.Td><ActionIcon size="sm" mt={3} aria-label={`Remove device ${at + 1}, ${device}`} onClick={() => onChange(devices.filter((row) => row.key !== key))}><Trash2 size={14} /></ActionIcon></Table.Td>
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
      {devices.length === 0 && <Text size="sm" c="dimmed" py="xs">No devices. A guest needs at least the host bridge.</Text>}
      {errorOf('devices') !== undefined && <Text size="xs" c="red">{errorOf('devices')}</Text>}
      <Menu position="bottom-start" shadow="md" width={260}>
        <Menu.Target><Button mt="xs" size="compact-sm" variant="default" leftSection={<Plus size={14} />}>Add device</Button></Menu.Target>
        <Menu.Dropdown>
          {DEVICE_KINDS.map((kind) => <Menu.Item key={kind.device} onClick={() => add(kind)} rightSection={<Text size="xs" c="dimmed" className="mono">{kind.device}</Text>}>{kind.label}</Menu.Item>)}
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
