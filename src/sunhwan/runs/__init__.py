"""What a run leaves behind: files, statistics, figures and the page that shows them."""
