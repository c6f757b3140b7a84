"""Pages of maps as PNG files, drawn by Pillow: matplotlib takes longer to load than a small scan
takes to quantify.
"""
