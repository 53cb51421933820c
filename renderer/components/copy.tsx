import { ActionIcon, Button, CopyButton, Tooltip } from '@mantine/core';
import { Check, Copy } from 'lucide-react';

export function CopyIcon({ value, label }: { value: string; label: string }) {
  return (
    <CopyButton value={value}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? 'Copied' : label}>
          <ActionIcon size="sm" onClick={copy} aria-label={copied ? 'Copied' : label} color={copied ? 'green' : 'gray'}>{copied ? <Check size={14} /> : <Copy size={14} />}</ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

/** A text and a button that copies it, in one. */
export function CopyChip({ value, label }: { value: string; label?: string }) {
  return (
    <CopyButton value={value}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? 'Copied' : `Copy "${value}"`}>
          <Button
            size="compact-xs" variant="default" className="copy-chip" onClick={copy} aria-label={`Copy ${value}`}
            rightSection={copied ? <Check size={12} /> : <Copy size={12} />}
          >
            {label ?? value}
          </Button>
        </Tooltip>
      )}
    </CopyButton>
  );
}
