"""ROS bags of version 1 and 2."""
