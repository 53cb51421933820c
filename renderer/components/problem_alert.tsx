import { Alert, Text } from '@mantine/core';
import { CircleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Problem } from '../../engine/contract/engine_api.ts';

export function ProblemAlert({ problem, onClose, children }: { problem: Problem; onClose?: () => void; children?: ReactNode }) {
  return (
    <Alert
      color="red" variant="light" icon={<CircleAlert size={18} />} title={problem.what} role="alert" data-danger
      withCloseButton={onClose !== undefined} onClose={onClose} closeButtonLabel="Close this message"
    >
      <Text size="sm" className="wrap-anywhere">{sentence(problem.why)}</Text>
      <Text size="sm" c="dimmed" mt={2} className="wrap-anywhere">{sentence(problem.todo)}</Text>
      {children}
    </Alert>
  );
}

function sentence(text: string): string {
  const trimmed = text.trim();
  const start = /^[a-z]+ /.test(trimmed) ? trimmed.charAt(0).toUpperCase() + trimmed.slice(1) : trimmed;
  return start === '' || /[.!?]$/.test(start) ? start : `${start}.`;
}
