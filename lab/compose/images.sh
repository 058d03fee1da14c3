#!/bin/sh
# Make the images of lab/compose/substitutes.yml, and the base images of ours, from Debian's packages (as root; mmdebstrap).
set -eu
root=$(mktemp --suffix=.tar)
trap 'rm -f "$root"' EXIT
authorities=/etc/ssl/certs/ca-certificates.crt # builds trust whom this machine trusts

# image NAME SUITE PACKAGES [SHELL]: the shell runs in the root
image() {
    echo "$1"
    mmdebstrap --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' --include="$3" \
        --customize-hook="mkdir -p \"\$1/etc/ssl/certs\" && cp $authorities \"\$1$authorities\"" \
        --customize-hook="chroot \"\$1\" sh -ec '${4:-true}'" "$2" "$root"
    docker import --change "ENV SSL_CERT_FILE=$authorities PIP_CERT=$authorities NODE_EXTRA_CA_CERTS=$authorities" "$root" "$1"
}

image python:3.11-slim bookworm python3,python3-venv,python3-pip,ca-certificates
image debian:forky-slim forky ca-certificates
image fonoteka-trial/debian forky nginx,prometheus,curl,wget \
    "install -d -o 65534 -g 65534 /prometheus"
image fonoteka-trial/postgres trixie postgresql \
    "groupmod -g 999 postgres; usermod -u 999 postgres; install -d -o 999 -g 999 -m 1777 /var/lib/postgresql/data"
image fonoteka-trial/ceph forky radosgw,ceph-mon,ceph-osd,ceph-common \
    "useradd -u 10002 -U ceph-trial; install -d -o 10002 -g 10002 -m 0700 /data"
