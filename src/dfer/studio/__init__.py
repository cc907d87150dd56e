"""The local page: watch films, collect votes, review results. What it shows and stores is made by the other rooms."""
