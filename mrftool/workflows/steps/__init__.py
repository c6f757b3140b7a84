"""What several workflows do: open a scan, build a scene, write maps, keep time."""
