/** The few files of our own that the default guest holds beside Debian's kernel and busybox. */

/** Kernel modules the initramfs loads, in order of dependence; names as in the kernel's tree. The last two bring the power button. */
export const MODULES = [
  'drivers/virtio/virtio_ring.ko',
  'drivers/virtio/virtio.ko',
  'drivers/virtio/virtio_pci_legacy_dev.ko',
  'drivers/virtio/virtio_pci_modern_dev.ko',
  'drivers/virtio/virtio_pci.ko',
  'drivers/block/virtio_blk.ko',
  'drivers/char/virtio_console.ko',
  'drivers/char/hw_random/virtio-rng.ko',
  'drivers/input/evdev.ko',
  'drivers/acpi/button.ko',
] as const;

/**
 * /init of the initramfs: loads the virtio drivers, then goes on with the root file system that `root=` names, or,
 * without one, with the shell of the initramfs itself.
 */
export const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for m in $(cat /modules/order); do insmod /modules/$m || echo "init: cannot load $m"; done
exec < /dev/console > /dev/console 2>&1
root= rw=-o\\ ro init=/sbin/init
for word in $(cat /proc/cmdline); do
  case $word in
    root=*) root=\${word#root=} ;;
    init=*) init=\${word#init=} ;;
    rw) rw= ;;
  esac
done
if [ -n "$root" ] && [ "$root" != /dev/ram0 ]; then
  tries=0
  while [ ! -b "$root" ] && [ $tries -lt 50 ]; do usleep 100000; tries=$((tries+1)); done
  if mount $rw -t ext4 "$root" /root; then
    umount /proc /sys
    mount -o move /dev /root/dev
    exec switch_root /root "$init"
  fi
  echo "init: cannot mount root=$root, going on in the initramfs"
fi
exec /sbin/init
`;

/** busybox init's table: mount, start a login shell on every console the kernel uses, clean power-off. */
export const INITTAB = `::sysinit:/etc/rcS
::restart:/sbin/init
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/sync
::shutdown:/bin/umount -a -r
`;

/** Adds one shell per active console, then says that the guest is up. */
export const RCS = `#!/bin/sh
export PATH=/bin:/sbin
[ -f /proc/uptime ] || mount -t proc proc /proc
[ -d /sys/class ] || mount -t sysfs sysfs /sys
[ -c /dev/null ] || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /tmp /run
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
hostname -F /etc/hostname
for tty in $(cat /sys/class/tty/console/active); do
  grep -q "^$tty:" /etc/inittab || echo "$tty::respawn:-/bin/sh" >> /run/inittab.add
done
if [ -f /run/inittab.add ]; then
  { grep -v ':respawn:' /etc/inittab; cat /run/inittab.add; } > /run/inittab
  mount -o bind /run/inittab /etc/inittab
  kill -HUP 1
fi
[ -c /dev/input/event0 ] && acpid -l /dev/null -p /run/acpid.pid
echo "ACRN-UOS-READY $(cut -d' ' -f1 /proc/uptime)"
`;

/**
 * What acpid runs when the power button is pressed: what busybox's init does at poweroff, which waits a second after TERM
 * and another before the end. This goes on as soon as the processes have ended, and waits no longer than init for any.
 */
export const POWER_BUTTON = `#!/bin/sh
export PATH=/bin:/sbin
trap '' TERM HUP
kill -TSTP 1 # init starts nothing again
kill -TERM -1
kill -HUP -1 # an interactive shell takes no TERM
anyone_left() {
  for process in /proc/[0-9]*; do
    case \${process#/proc/} in 1 | $$) continue ;; esac
    words=
    read -r words 2> /dev/null < $process/cmdline
    [ -z "$words" ] || return 0 # a thread of the kernel has no words
  done
  return 1
}
tries=0
while anyone_left && [ $tries -lt 20 ]; do usleep 50000; tries=$((tries + 1)); done
kill -KILL -1
sync
umount -a -r
poweroff -f
`;

export const PROFILE = `export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=\${TERM:-vt102}
export PS1='\\h:\\w\\$ '
cd /root
`;

export const PASSWD = 'root::0:0:root:/root:/bin/sh\n';
export const GROUP = 'root:x:0:\n';
export const HOSTNAME = 'uos\n';
