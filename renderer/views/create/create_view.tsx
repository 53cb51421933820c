/**
 * Creates a VM or changes one.
 *
 * @spec   engine/contract/vm_definition.ts; acrn-dm options
 * @cover  #Y every field of a definition; checked by the engine while typing
 * @differ none
 */
import { ActionIcon, Alert, Button, Grid, Group, Input, NumberInput, Select, Skeleton, Slider, Stack, Switch, Text, Textarea, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { ArrowLeft, CircleAlert } from 'lucide-react';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { FormEvent } from 'react';
import type { NucInfo } from '../../../engine/contract/engine_api.ts';
import type { VmDefinition } from '../../../engine/contract/vm_definition.ts';
import { commandLine } from '../../command_line.ts';
import { CommandBox } from '../../components/command_box.tsx';
import { Page, Section } from '../../components/page.tsx';
import { formatMemory } from '../../format.ts';
import { go } from '../../router.ts';
import { useEngineState, useStore } from '../../state/engine_store.ts';
import { tellProblem } from '../../state/notices.ts';
import { DevicesTable } from './devices_table.tsx';
import { definitionOf, diskOf, formOf, newForm, withCom, withDisk } from './form_model.ts';
import type { FormDefaults, VmForm } from './form_model.ts';
import { PcpuPicker } from './pcpu_picker.tsx';

const MIN_MEMORY_MIB = 128;
type FieldProblems = ReadonlyArray<{ path: string; message: string }>;

export function CreateView({ editing }: { editing?: string }) {
  const { loaded, vms, nuc } = useEngineState();
  const { engine } = useStore();
  const [images, setImages] = useState<FormDefaults>();
  const title = editing === undefined ? 'New virtual machine' : `Edit ${editing}`;
  const known = vms.find(({ name }) => name === editing)?.definition;
  const isGone = loaded && editing !== undefined && known === undefined;
  useEffect(() => {
    engine.call('image.default', {}).then(setImages, (error: unknown) => { tellProblem(error); setImages({ kernel: '', ramdisk: '', disk: '', bootargs: '' }); });
  }, [engine]);
  useEffect(() => { if (isGone) go({ view: 'vms' }); }, [isGone]);
  const first = useMemo(() => {
    if (!loaded || images === undefined) return undefined;
    if (editing !== undefined) return known === undefined ? undefined : formOf(known);
    return newForm(images, vms.flatMap(({ definition }) => (definition === undefined ? [] : [definition])), vms.map(({ name }) => name));
  }, [loaded, images, editing, known, vms]);
  const back = <ActionIcon size="lg" aria-label="Back" onClick={() => leave(editing)}><ArrowLeft size={18} /></ActionIcon>;
  return (
    <Page title={title} before={back}>
      {first === undefined || nuc === undefined ? <Skeleton height={420} radius="md" /> : <Form first={first} nuc={nuc} editing={editing} />}
    </Page>
  );
}

function leave(editing: string | undefined): void { go(editing === undefined ? { view: 'vms' } : { view: 'vm', name: editing }); }

function Form({ first, nuc, editing }: { first: VmForm; nuc: NucInfo; editing?: string }) {
  const { engine } = useStore();
  const { vms } = useEngineState();
  const [form, setForm] = useState(first);
  const [saving, setSaving] = useState<'save' | 'start'>();
  const [shown, setShown] = useState<ReadonlySet<string>>(new Set()); // fields left once; all after a try to save
  const [showAll, setShowAll] = useState(false);
  const root = useRef<HTMLFormElement>(null);
  const definition = useMemo(() => definitionOf(form), [form]);
  const problems = useProblems(definition, editing);
  const others = vms.filter(({ name }) => name !== editing);
  const set = <K extends keyof VmForm>(field: K, value: VmForm[K]): void => { setForm((before) => ({ ...before, [field]: value })); show(field); };
  const show = (field: string): void => setShown((before) => new Set(before).add(field));
  const errorOf = useCallback((path: string): string | undefined => {
    if (!showAll && !shown.has(path.split('.', 1)[0] ?? '')) return undefined;
    const found = problems?.find((problem) => problem.path === path || (path === 'cpuAffinity' && problem.path.startsWith('cpuAffinity.')));
    return found === undefined ? undefined : wordsFor(path, found.message);
  }, [problems, showAll, shown]);
  const general = showAll ? (problems ?? []).filter(({ path }) => !KNOWN_FIELDS.includes(path) && !/^(devices|cpuAffinity)\./.test(path)) : [];
  const memoryMax = nuc.memoryMiB;

  const save = async (start: boolean): Promise<void> => {
    setShowAll(true);
    setSaving(start ? 'start' : 'save');
    try {
      const found = await engine.call('vm.validate', { definition, replaces: editing });
      if (found.length > 0) {
        requestAnimationFrame(() => root.current?.querySelector<HTMLElement>('[aria-invalid="true"], [data-error="true"]')?.focus());
        return;
      }
      if (editing === undefined) await engine.call('vm.create', { definition });
      else await engine.call('vm.update', { name: editing, definition });
      if (start) {
        go({ view: 'consoles', name: definition.name });
        await engine.call('vm.start', { name: definition.name });
      } else {
        go({ view: 'vm', name: definition.name });
      }
    } catch (error) {
      tellProblem(error);
    } finally {
      setSaving(undefined);
    }
  };
  const submit = (event: FormEvent): void => { event.preventDefault(); void save(false); };

  return (
    <form onSubmit={submit} ref={root} noValidate>
      <Grid gap="md" className="create">
        <Grid.Col span={{ base: 12, lg: 7.5 }}>
          <Stack gap="md">
            <Section title="Virtual machine">
              <Stack gap="md">
                <TextInput label="Name" required withAsterisk={false} value={form.name} onChange={({ currentTarget }) => set('name', currentTarget.value)} error={errorOf('name')} maw={320} spellCheck={false} autoComplete="off" />
                <PcpuPicker value={form.cpuAffinity} onChange={(ids) => set('cpuAffinity', ids)} nuc={nuc} others={others} error={errorOf('cpuAffinity')} />
                <Input.Wrapper label="Memory" error={errorOf('memoryMiB')} labelElement="div" description={`The NUC has ${formatMemory(memoryMax)}; running VMs share it.`}>
                  <Group gap="lg" mt={8} wrap="nowrap" align="center">
                    <Slider
                      className="grow" min={MIN_MEMORY_MIB} max={memoryMax} step={64} value={form.memoryMiB} onChange={(value) => set('memoryMiB', value)} label={formatMemory}
                      thumbLabel="Memory in MiB" marks={memoryMarks(memoryMax)} mb="md"
                    />
                    <NumberInput w={130} aria-label="Memory in MiB" min={0} step={64} suffix=" MiB" allowDecimal={false} allowNegative={false} value={form.memoryMiB} onChange={(value) => set('memoryMiB', Number(value))} />
                  </Group>
                </Input.Wrapper>
              </Stack>
            </Section>
            <Section title="Boot">
              <Stack gap="md">
                <TextInput label="Kernel" description="bzImage or 64-bit ELF" value={form.kernel} onChange={({ currentTarget }) => set('kernel', currentTarget.value)} error={errorOf('kernel')} classNames={{ input: 'mono' }} spellCheck={false} />
                <TextInput label="Ramdisk" description="Optional" value={form.ramdisk} onChange={({ currentTarget }) => set('ramdisk', currentTarget.value)} error={errorOf('ramdisk')} classNames={{ input: 'mono' }} spellCheck={false} />
                <TextInput label="Disk image" description={editing === undefined && diskOf(form) === diskOf(first) && diskOf(form) !== '' ? 'This VM gets a copy of the default image' : 'Optional; the first virtio-blk device'} value={diskOf(form)} onChange={({ currentTarget }) => { setForm(withDisk(form, currentTarget.value)); show('devices'); }} classNames={{ input: 'mono' }} spellCheck={false} />
                <Textarea label="Boot arguments" autosize minRows={2} maxRows={5} value={form.bootargs} onChange={({ currentTarget }) => set('bootargs', currentTarget.value.replaceAll('\n', ' '))} error={errorOf('bootargs')} classNames={{ input: 'mono' }} spellCheck={false} />
              </Stack>
            </Section>
            <Section title="Devices">
              <DevicesTable devices={form.devices} onChange={(devices) => set('devices', devices)} errorOf={errorOf} />
              <Group grow mt="md" align="flex-start">
                <TextInput label="COM1" description="stdio, a tty or tcp:port" placeholder="not connected" value={form.com1} onChange={({ currentTarget }) => { setForm(withCom(form, 'com1', currentTarget.value)); show('lpc'); }} error={errorOf('lpc.com1')} classNames={{ input: 'mono' }} />
                <TextInput label="COM2" description="stdio, a tty or tcp:port" placeholder="not connected" value={form.com2} onChange={({ currentTarget }) => { setForm(withCom(form, 'com2', currentTarget.value)); show('lpc'); }} error={errorOf('lpc.com2')} classNames={{ input: 'mono' }} />
              </Group>
            </Section>
            <Section title="Advanced">
              <Group grow align="flex-start">
                <Select label="CPU model" description="Which instructions the guest's CPU has" allowDeselect={false} data={CPU_MODELS} value={form.cpuModel} onChange={(value) => set('cpuModel', (value ?? 'nuc') as VmForm['cpuModel'])} comboboxProps={{ shadow: 'md' }} />
                <TextInput label="UUID" description="Chooses the VM's slot in the hypervisor" value={form.uuid} onChange={({ currentTarget }) => set('uuid', currentTarget.value)} error={errorOf('uuid')} classNames={{ input: 'mono' }} spellCheck={false} />
              </Group>
              <Switch mt="md" label="ACPI tables" description="Power button, CPU and device tables for the guest" checked={form.acpi} onChange={({ currentTarget }) => set('acpi', currentTarget.checked)} />
            </Section>
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 4.5 }}>
          <div className="sticky">
            <Section title="Summary">
              <Stack gap="sm">
                <Text size="sm"><Text span fw={600}>{form.name === '' ? 'This VM' : form.name}</Text> gets {form.cpuAffinity.length === 0 ? 'no pCPU yet' : `${form.cpuAffinity.length} vCPU${form.cpuAffinity.length > 1 ? 's' : ''} on pCPU ${form.cpuAffinity.join(', ')}`} and {formatMemory(form.memoryMiB)} of memory.</Text>
                <Text size="xs" c="dimmed">Same on a command line</Text>
                <CommandBox command={commandLine(definition)} />
                {general.map(({ path, message }) => <Alert key={path + message} color="red" variant="light" icon={<CircleAlert size={16} />}>{path === '' ? message : `${path}: ${message}`}</Alert>)}
                {showAll && problems !== undefined && problems.length > 0 && <Text size="sm" c="red" role="alert">{problems.length === 1 ? 'One field needs' : `${problems.length} fields need`} another value.</Text>}
                <Group gap="xs" mt={4}>
                  <Button type="submit" variant={editing === undefined ? 'default' : 'filled'} loading={saving === 'save'} disabled={saving === 'start'}>{editing === undefined ? 'Create' : 'Save'}</Button>
                  {editing === undefined && <Button loading={saving === 'start'} disabled={saving === 'save'} onClick={() => { void save(true); }}>Create and start</Button>}
                  <Button variant="subtle" color="gray" onClick={() => leave(editing)}>Cancel</Button>
                </Group>
              </Stack>
            </Section>
          </div>
        </Grid.Col>
      </Grid>
    </form>
  );
}

const CPU_MODELS = [
  { value: 'v1', label: 'x86-64-v1' },
  { value: 'v2', label: 'x86-64-v2' },
  { value: 'nuc', label: 'NUC' },
];
/** A schema's own words ("Too small: ...") are not for people; everything else the engine says is. */
function wordsFor(path: string, message: string): string {
  if (!/^(Too small|Too big|Invalid)\b/.test(message)) return message;
  return FIELD_WORDS.find(([pattern]) => pattern.test(path))?.[1] ?? message;
}
const FIELD_WORDS: ReadonlyArray<[RegExp, string]> = [
  [/^cpuAffinity/, 'choose at least one pCPU'],
  [/^memoryMiB$/, `a VM needs at least ${MIN_MEMORY_MIB} MiB, in whole MiB`],
  [/^kernel$/, 'give the path of a kernel'],
  [/^bootargs$/, 'boot arguments have at most 1023 characters'],
  [/^uuid$/, 'a UUID looks like d2795438-25d6-11e8-864e-cb7a18b34643'],
  [/\.slot$/, 'slot, slot:func or bus:slot:func, in decimal'],
  [/\.device$/, 'give the name of a device'],
];
const KNOWN_FIELDS = ['name', 'cpuAffinity', 'memoryMiB', 'kernel', 'ramdisk', 'bootargs', 'devices', 'lpc.com1', 'lpc.com2', 'uuid'];

/** What the engine says about it, a moment after the last change; undefined until the first answer. */
function useProblems(definition: VmDefinition, replaces: string | undefined): FieldProblems | undefined {
  const { engine } = useStore();
  const [problems, setProblems] = useState<FieldProblems>();
  const [settled] = useDebouncedValue(definition, 200);
  useEffect(() => {
    let current = true;
    engine.call('vm.validate', { definition: settled, replaces }).then((found) => { if (current) setProblems(found); }, () => {}); // saving asks again and tells
    return () => { current = false; };
  }, [engine, settled, replaces]);
  return problems;
}

function memoryMarks(max: number): Array<{ value: number; label: string }> {
  const step = max <= 1024 ? 256 : max <= 2048 ? 512 : 1024;
  const marks = [];
  for (let value = step; value <= max; value += step) marks.push({ value, label: formatMemory(value) });
  return marks;
}
