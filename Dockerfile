# What builds stays in the first stage: pip, Node for the portal, npm's packages. The second has Python and one folder.
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN python3 -m venv --without-pip /opt/fonoteka \
 && python3 -m pip --python /opt/fonoteka/bin/python3 install --no-cache-dir --require-hashes -r requirements.lock \
 && python3 -m pip --python /opt/fonoteka/bin/python3 install --no-cache-dir --no-deps .

FROM python:3.11-slim
# A new volume takes owner and mode of the folder it is mounted on. The symbolic link lets `docker compose exec fonoteka fonoteka doctor` find the configuration without being told.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/fonoteka --shell /usr/sbin/nologin fonoteka \
 && install -d -o fonoteka -g fonoteka -m 0750 /var/lib/fonoteka /var/lib/fonoteka/fonoteka-data \
    /var/lib/fonoteka/keys /var/lib/fonoteka/work /srv/pbx \
 && ln -s /etc/fonoteka/fonoteka.toml /var/lib/fonoteka/fonoteka.toml
COPY --from=build /opt/fonoteka /opt/fonoteka
ENV PATH=/opt/fonoteka/bin:$PATH
USER 10001:10001
WORKDIR /var/lib/fonoteka
VOLUME /var/lib/fonoteka/fonoteka-data
ENTRYPOINT ["fonoteka"]
CMD ["up", "--config", "/etc/fonoteka/fonoteka.toml"]
