#!/usr/bin/env bash
# Ends the Slurm that start.sh has started below a folder, by the ids that its daemons have written there.
folder=$1
export SLURM_CONF=$folder/slurm.conf
timeout 10 scancel --quiet --full --user="$(id -un)" # what a failed test left running would outlive the daemons
for _ in $(seq 20); do
  [ -z "$(timeout 5 squeue --noheader 2>/dev/null)" ] && break
  sleep 0.5
done
for pid in "$folder"/slurmd.pid "$folder"/slurmctld.pid "$folder"/munge/pid; do
  if [ -s "$pid" ]; then kill "$(cat "$pid")" 2>/dev/null; fi
done
if [ -s "$folder/socket" ]; then rm -rf "$(cat "$folder/socket")"; fi
exit 0
