import { Button, Group, Modal, Text } from '@mantine/core';
import type { ReactNode } from 'react';

/** Asks before something that cannot be taken back. The safe answer has the focus. */
export function Confirm({ opened, title, text, action, busy, onConfirm, onClose }: { opened: boolean; title: string; text: ReactNode; action: string; busy?: boolean; onConfirm: () => void; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title={title} closeButtonProps={{ 'aria-label': 'Close' }}>
      <Text size="sm">{text}</Text>
      <Group justify="flex-end" mt="lg" gap="xs">
        <Button variant="default" onClick={onClose} data-autofocus>Cancel</Button>
        <Button color="red" onClick={onConfirm} loading={busy}>{action}</Button>
      </Group>
    </Modal>
  );
}
