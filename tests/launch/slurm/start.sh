#!/usr/bin/env bash
# Starts a real Slurm of one node on this machine: munged, slurmctld and slurmd, with all they write below one folder.
# Usage: start.sh FOLDER CPUS; afterwards `export SLURM_CONF=FOLDER/slurm.conf`. stop.sh FOLDER ends what was started.
set -euo pipefail
folder=$1 cpus=$2 host=$(hostname -s)
mkdir -p "$folder"/{state,spool,munge}
chmod 755 "$folder"

# The key is this cluster's own; munged wants folders that nobody else may write to.
dd if=/dev/urandom of="$folder/munge/key" bs=1 count=1024 status=none
chmod 700 "$folder/munge"
chmod 400 "$folder/munge/key"
socket=/run/munge-selectrl-$$
mkdir -p "$socket"
chmod 755 "$socket"
echo "$socket" >"$folder/socket"
munged --force --socket="$socket/socket" --key-file="$folder/munge/key" --log-file="$folder/munge/log" \
  --pid-file="$folder/munge/pid" --seed-file="$folder/munge/seed"

# No cgroups and no accounting: a container has the first for itself, and nothing here reads the second. Credentials end
# soon, because a task that is queued again waits for that.
cat >"$folder/slurm.conf" <<CONF
ClusterName=selectrl
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$((20000 + $$ % 10000))
SlurmdPort=$((30000 + $$ % 10000))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$socket/socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=2048 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:$cpus
CONF
export SLURM_CONF=$folder/slurm.conf
slurmctld
slurmd
for _ in $(seq 60); do
  if sinfo --noheader --format=%T 2>/dev/null | grep -Eq 'idle|mixed'; then exit 0; fi
  sleep 0.5
done
cat "$folder"/slurm*.log "$folder/munge/log" >&2
exit 1
