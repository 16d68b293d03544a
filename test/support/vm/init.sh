#!/bin/busybox sh
# First program of the test VM: the machine's own root, read-only under a layer in memory, so that every
# tool and the checkout are there and nothing is written back. Kernel command line: modules=DIR run=SCRIPT.
box=/bin/busybox
$box mount -t proc proc /proc
$box mount -t sysfs sysfs /sys
$box mount -t devtmpfs dev /dev
while read -r module; do $box insmod "/modules/$module" || echo "vm: cannot load $module"; done < /modules/list
modules=$($box sed 's/.*modules=\([^ ]*\).*/\1/' /proc/cmdline)
script=$($box sed 's/.*run=\([^ ]*\).*/\1/' /proc/cmdline)
version=$($box uname -r)
options=trans=virtio,version=9p2000.L,msize=1048576

$box mount -t 9p -o "$options,ro,cache=loose" machine /lower
$box mount -t tmpfs layer /layer
$box mkdir /layer/upper /layer/work
$box mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work root /root
$box mount -t proc proc /root/proc
$box mount -t sysfs sysfs /root/sys
$box mount -t devtmpfs dev /root/dev
$box mkdir -p /root/dev/pts /root/dev/shm
$box mount -t devpts pts /root/dev/pts
$box mount -t tmpfs shm /root/dev/shm
$box mount -t tmpfs run /root/run
$box mkdir -p /root/lib/modules
$box mount -t tmpfs modules /root/lib/modules
$box mkdir "/root/lib/modules/$version" /root/run/vm-out
$box mount --bind "/root$modules/$version" "/root/lib/modules/$version"
$box mount -t 9p -o "$options" out /root/run/vm-out

$box cat > /root/run/first-program <<END
#!/bin/sh
export HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
stty -F /dev/ttyS1 raw
sh $script < /dev/null > /dev/ttyS1 2>&1
echo \$? > /run/vm-out/exit-code
sync
poweroff -f
END
$box chmod +x /root/run/first-program
$box umount /proc /sys /dev
# Not chroot: the kernel starts modprobe in the root of the first program.
exec $box switch_root /root /run/first-program
