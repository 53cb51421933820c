import { Box, Center, Group, Stack, Text, ThemeIcon, Title } from '@mantine/core';
import { useEffect, useRef } from 'react';
import type { ReactNode } from 'react';

/** Title row and content of a view. The title takes the focus when the view opens, so that a screen reader reads it. */
export function Page({ title, before, badge, actions, subtitle, children }: { title: string; before?: ReactNode; badge?: ReactNode; actions?: ReactNode; subtitle?: ReactNode; children: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · ACRN Desktop`;
    heading.current?.focus({ preventScroll: true });
  }, [title]);
  return (
    <Box className="page">
      <Group justify="space-between" wrap="nowrap" mb="lg" mih={36} gap="md">
        <Group gap="sm" wrap="nowrap" miw={0}>
          {before}
          <Box miw={0}>
            <Group gap="sm" wrap="nowrap">
              <Title order={1} ref={heading} tabIndex={-1} className="page-title">{title}</Title>
              {badge}
            </Group>
            {subtitle !== undefined && <Text size="sm" c="dimmed" mt={2}>{subtitle}</Text>}
          </Box>
        </Group>
        {actions !== undefined && <Group gap="xs" wrap="nowrap">{actions}</Group>}
      </Group>
      {children}
    </Box>
  );
}

export function Empty({ icon, title, text, action }: { icon: ReactNode; title: string; text: string; action?: ReactNode }) {
  return (
    <Center py={64} px="lg">
      <Stack align="center" gap="sm" maw={420}>
        <ThemeIcon size={56} radius="xl" variant="light" color="gray">{icon}</ThemeIcon>
        <Title order={2} ta="center">{title}</Title>
        <Text c="dimmed" size="sm" ta="center">{text}</Text>
        {action !== undefined && <Box mt="xs">{action}</Box>}
      </Stack>
    </Center>
  );
}

export function Section({ title, aside, children, padded = true }: { title: string; aside?: ReactNode; children: ReactNode; padded?: boolean }) {
  return (
    <section className="card" aria-label={title}>
      <Group justify="space-between" wrap="nowrap" className="card-head">
        <Title order={2}>{title}</Title>
        {aside}
      </Group>
      <div className={padded ? 'card-body' : undefined}>{children}</div>
    </section>
  );
}
