-- A database for the saga log, which the image makes, and one for each service: no service reads another's.
CREATE DATABASE inventory;
CREATE DATABASE orders;
CREATE DATABASE payments;
