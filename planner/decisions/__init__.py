"""From a law to choices: allocation, gains of ideas."""
