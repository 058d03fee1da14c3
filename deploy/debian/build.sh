#!/bin/sh
# Build build/fonoteka_VERSION_ARCHITECTURE.deb, for the Debian release of this machine: make deb
# Fonoteka and what it needs, at the versions of requirements.lock, are in an environment of their own: /opt/fonoteka.
set -eu
umask 022
cd "$(dirname "$0")/../.."
python=/usr/bin/python3 # Debian's, which the package depends on
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' fonoteka/__init__.py)
architecture=$(dpkg --print-architecture)
this=$($python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
next=$($python -c 'import sys; print("%d.%d" % (sys.version_info[0], sys.version_info[1] + 1))')
root=$PWD/build/deb
environment=$root/opt/fonoteka
rm -rf "$root" build/wheel
pip() { .venv/bin/python -m pip --quiet --quiet "$@"; }

pip wheel --no-deps --no-build-isolation --wheel-dir build/wheel .
$python -m venv --without-pip "$environment"
pip --python "$environment/bin/python3" install --no-compile --require-hashes --requirement requirements.lock
pip --python "$environment/bin/python3" install --no-compile --no-deps build/wheel/*.whl
find "$environment/bin" -type f -delete # scripts that name this folder; python3 is a link
sed -i '/^command = /d' "$environment/pyvenv.cfg"
printf '#!/opt/fonoteka/bin/python3\nfrom fonoteka.cli.main import main\n\nmain()\n' >"$environment/bin/fonoteka"
chmod 0755 "$environment/bin/fonoteka"
$python -m compileall -q -s "$root" -p / --invalidation-mode unchecked-hash "$environment"

documents=$root/usr/share/doc/fonoteka
install -d "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/etc/fonoteka" "$documents/examples" "$root/DEBIAN"
ln -s /opt/fonoteka/bin/fonoteka "$root/usr/bin/fonoteka"
install -m 0644 deploy/systemd/*.service "$root/usr/lib/systemd/system/"
install -m 0644 deploy/debian/fonoteka.toml "$root/etc/fonoteka/"
install -m 0644 README.md CHANGELOG.md SECURITY.md fonoteka.example.toml docs/operator-guide.*.md docs/user-guide.*.md "$documents/"
install -m 0644 LICENSE "$documents/copyright"
cp -r asterisk_conf deploy/nginx.conf deploy/Caddyfile deploy/nftables.conf deploy/prometheus.yml deploy/alerts.yml \
    deploy/grafana deploy/fail2ban "$documents/examples/"
rm -rf "$documents/examples/asterisk_conf/__init__.py" "$documents/examples/asterisk_conf/__pycache__"

install -m 0755 deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm "$root/DEBIAN/"
echo /etc/fonoteka/fonoteka.toml >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/control" <<CONTROL
Package: fonoteka
Version: $version
Architecture: $architecture
Maintainer: Fonoteka <root@localhost>
Installed-Size: $(du -sk "$root" | cut -f1)
Depends: python3 (>= $this~), python3 (<< $next~), adduser
Suggests: asterisk, nginx, postgresql
Section: comm
Priority: optional
Description: call recording for Asterisk, for whole companies
 Records the telephone calls of companies on one or several Asterisks, keeps
 them, and plays them in a portal: agent, mixer, API and portal, with units
 of systemd for each.
CONTROL
dpkg-deb --root-owner-group -Zzstd --build "$root" "build/fonoteka_${version}_$architecture.deb"
