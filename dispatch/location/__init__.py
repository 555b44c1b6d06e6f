"""Where the caller is: what each source says, and the best of all. Pure but for `geocoder`."""
