#!/usr/bin/env bash
# The main job on data that mrftool makes itself: a digital head is scanned with the shipped FISP train, without noise
# and at SNR 20, and quantified with the shipped model. Ends in maps, pictures and tables of errors against the truth.
set -euo pipefail
folder="${1:-demo}"
mkdir -p "$folder"

mrftool sequence show fisp -o "$folder/fisp.png"
for snr in inf 20; do
  scan="$folder/scan_snr$snr.nii.gz"
  maps="$folder/maps_snr$snr"
  mrftool simulate --seq fisp --phantom brain --matrix 128 --slices 3 --snr "$snr" -o "$scan"
  mrftool quantify "$scan" -o "$maps"
  mrftool evaluate maps "$maps" "$scan" -o "$maps/errors"
done
echo "Look at $folder/maps_snr20/overview.png and $folder/maps_snr20/errors"
