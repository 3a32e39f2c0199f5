"""Links as cards, plots, screenshots, QR codes and notebook views."""
