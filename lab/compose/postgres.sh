# Debian's PostgreSQL as the official image starts it.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
data=/var/lib/postgresql/data
if [ ! -s $data/PG_VERSION ]; then
    initdb --pgdata=$data --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 --encoding=UTF8
    echo "host all all all scram-sha-256" >>$data/pg_hba.conf
    pg_ctl --pgdata=$data --wait --options="-c listen_addresses=" start
    PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --pgdata=$data --wait stop
fi
exec postgres -D $data -c listen_addresses='*'
