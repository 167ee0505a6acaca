"""What the scans say of printed codes themselves: packages that leaked, copies, runs of serials, diverted goods."""
