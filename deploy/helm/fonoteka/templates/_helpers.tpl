{{- define "fonoteka.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "fonoteka.selector" -}}
app.kubernetes.io/name: fonoteka
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fonoteka.labels" -}}
{{ include "fonoteka.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "fonoteka.secret" -}}
{{ required "existingSecret: make a Secret with database_password, s3_secret_key, master_key and audit_key, and name it" .Values.existingSecret }}
{{- end }}

{{/* A container of the image that may do little: name, then what the caller adds. */}}
{{- define "fonoteka.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "fonoteka.mounts" -}}
- {name: config, mountPath: /etc/fonoteka, readOnly: true}
- {name: secrets, mountPath: /run/secrets/fonoteka, readOnly: true}
- {name: keys, mountPath: /var/lib/fonoteka/keys}
- {name: work, mountPath: /var/lib/fonoteka/work}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{/* The pod of the API and of the migrations; .config is the name of the ConfigMap, .container the main container. */}}
{{- define "fonoteka.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
initContainers:
  # Fonoteka takes a key only from a file that nobody else can read; files of a Secret are its group's too.
  - name: keys
    {{- include "fonoteka.container" .root | nindent 4 }}
    command:
      - sh
      - -ec
      - |
        umask 077
        cd /var/lib/fonoteka/keys
        cp /run/secrets/fonoteka/master_key master.key
        cp /run/secrets/fonoteka/audit_key audit.key
    resources:
      requests: {cpu: 10m, memory: 16Mi}
      limits: {memory: 64Mi}
    volumeMounts: {{ include "fonoteka.mounts" .root | nindent 6 }}
volumes:
  - name: config
    configMap: {name: {{ .config }}}
  - name: secrets
    secret: {secretName: {{ include "fonoteka.secret" .root }}, defaultMode: 0440}
  - name: keys
    emptyDir: {medium: Memory, sizeLimit: 1Mi}
  - name: work
    emptyDir: {sizeLimit: {{ .root.Values.workspace.sizeLimit }}}
  - name: tmp
    emptyDir: {sizeLimit: 1Gi}
{{- end }}
