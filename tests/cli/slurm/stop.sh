#!/usr/bin/env bash
# Ends the Slurm that start.sh has started below a folder, by the ids that its daemons have written there.
folder=$1
for pid in "$folder"/slurmd.pid "$folder"/slurmctld.pid "$folder"/munge/pid; do
  if [ -s "$pid" ]; then kill "$(cat "$pid")" 2>/dev/null; fi
done
if [ -s "$folder/socket" ]; then rm -rf "$(cat "$folder/socket")"; fi
exit 0
