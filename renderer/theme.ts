import { createTheme, rem } from '@mantine/core';

export const theme = createTheme({
  primaryColor: 'indigo',
  primaryShade: { light: 7, dark: 6 },
  defaultRadius: 'md',
  cursorType: 'pointer',
  fontFamily: '-apple-system, BlinkMacSystemFont, "Segoe UI Variable Text", "Segoe UI", Inter, Roboto, Cantarell, Ubuntu, "Noto Sans", "Liberation Sans", system-ui, sans-serif',
  fontFamilyMonospace: 'ui-monospace, "JetBrains Mono", "SF Mono", Menlo, Consolas, "Noto Sans Mono", "DejaVu Sans Mono", monospace',
  fontSizes: { xs: rem(12), sm: rem(13), md: rem(14), lg: rem(16), xl: rem(20) },
  headings: { fontWeight: '600', sizes: { h1: { fontSize: rem(22), lineHeight: '1.3' }, h2: { fontSize: rem(15), lineHeight: '1.4' }, h3: { fontSize: rem(13), lineHeight: '1.4' } } },
  colors: {
    dark: ['#dfe3ea', '#b4bbc7', '#8f97a6', '#646d7d', '#414958', '#303743', '#232932', '#191d24', '#13161c', '#0d0f13'],
  },
  components: {
    Tooltip: { defaultProps: { openDelay: 350, withArrow: true, transitionProps: { duration: 80 } } },
    Modal: { defaultProps: { centered: true, transitionProps: { duration: 120 }, overlayProps: { backgroundOpacity: 0.45, blur: 1 } } },
    ActionIcon: { defaultProps: { variant: 'subtle', color: 'gray' } },
    Button: { defaultProps: { size: 'sm' } },
  },
});

/** One colour per VM name, the same everywhere it is shown. */
const VM_COLORS = ['indigo', 'teal', 'orange', 'grape', 'cyan', 'pink', 'lime', 'violet'] as const;
export function vmColor(name: string): string {
  let hash = 0;
  for (const char of name) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  return VM_COLORS[hash % VM_COLORS.length] ?? 'indigo';
}
