"""Who is told what and when: reminders, ladders, alerts, and the cell lab's orders."""
