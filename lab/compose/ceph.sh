# One monitor, one storage daemon with its objects in memory, and the S3 gateway at port 9000.
set -eu
rm -rf /data/*
mkdir /data/mon /data/osd /data/run /data/rgw
monitor="[v2:127.0.0.1:3300]"
fsid=$(cat /proc/sys/kernel/random/uuid)
osd=$(cat /proc/sys/kernel/random/uuid)
cat >/etc/ceph/ceph.conf <<X
[global]
fsid = $fsid
mon_host = $monitor
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_data_avail_warn = 2
run_dir = /data/run
admin_socket = /data/run/\$name.asok
log_to_stderr = true
crash_dir = /data/run
keyring = /data/keyring
[mon]
mon_data = /data/mon
[osd]
keyring = /data/osd/keyring
osd_data = /data/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_class_default_list = *
osd_class_load_list = *
[client]
rgw_frontends = beast endpoint=0.0.0.0:9000 tcp_nodelay=1
rgw_data = /data/rgw
rgw_enable_usage_log = false
X
monmaptool --create --fsid "$fsid" --addv a "$monitor" /data/monmap
ceph-authtool --create-keyring /data/keyring --gen-key -n mon. --cap mon 'allow *'
ceph-authtool /data/keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
ceph-mon --mkfs -i a --monmap /data/monmap --keyring /data/keyring
ceph-mon -i a -f &
ceph osd new "$osd"
ceph auth get-or-create osd.0 mon 'allow profile osd' osd 'allow *' -o /data/osd/keyring
ceph-osd -i 0 --mkfs --osd-uuid "$osd"
ceph-osd -i 0 -f &
radosgw-admin user create --uid=fonoteka --display-name=fonoteka --access-key="$MINIO_ROOT_USER" \
    --secret-key="$(cat "$MINIO_ROOT_PASSWORD_FILE")" >/dev/null
touch /data/ready
exec radosgw -n client.admin -f
