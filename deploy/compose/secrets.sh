#!/bin/sh
# Make the secrets of docker-compose.yml, once: sh deploy/compose/secrets.sh [HOST]
# HOST is the name in the certificate (default: localhost). What is there already is kept.
# The folder is closed to others; the files are not, as each container reads them as a user of its own.
set -eu
umask 077
host=${1:-localhost}
folder=$(dirname "$0")/secrets
mkdir -p "$folder"
cd "$folder"
for name in database_password s3_secret_key grafana_password; do
    [ -s "$name" ] || openssl rand -hex 24 >"$name"
done
[ -s tls_key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 825 \
    -subj "/CN=$host" -addext "subjectAltName=DNS:$host" -keyout tls_key -out tls_certificate 2>/dev/null
chmod 0444 database_password s3_secret_key grafana_password tls_key tls_certificate
echo "the secrets are in $folder; replace tls_certificate and tls_key by your own for $host"
