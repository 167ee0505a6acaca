"""The nine trades of the wool party (羊毛党), a module each: what its rings do on a day, and what it costs them."""
